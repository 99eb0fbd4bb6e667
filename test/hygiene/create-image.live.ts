/**
 * A real build through a proxy and from a mirror that both want passwords: what an operator's script leaves
 * behind ends it, and the passwords are nowhere, neither in lists of processes while it runs nor in what it writes.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { needPackages, start, workDir } from '../live.ts'
import { SECRETS, startPrivateProxy } from './private-proxy.ts'

needPackages({ mmdebstrap: 'mmdebstrap', 'qemu-img': 'qemu-utils' })

const { dir, remove } = await workDir()
await chmod(dir, 0o755) // apt downloads as a user of its own
// Its own, so that what lies there is nobody else's.
const temporary = join(dir, 'tmp')
await mkdir(temporary)
const server = await startPrivateProxy()
const output = join(dir, 'bits')
const cache = join(dir, 'cache')
const secrets = Object.values(SECRETS)
const holds = (text: string) => secrets.filter((secret) => text.includes(secret))

/** Words of all processes that hold a password; this command's own are the operator's business. */
function exposed(own: number): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')
        const parent = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ')[1]
        const ours = [pid, parent].includes(String(own)) && / bin\/|\/bin\/create-image/.test(words)
        return holds(words).length > 0 && !ours ? [words] : []
      } catch {
        return [] // it ended meanwhile
      }
    })
}

async function build(...more: string[]) {
  const words = [
    '12',
    '--size',
    '3G',
    '--output',
    output,
    '--cache',
    cache,
    ...server.words,
    ...more,
  ]
  const env = { TRACE: '1', TMPDIR: temporary }
  const { child, outcome } = start('create-image-debian', words, { env })
  const seen = new Set<string>()
  let looks = 0
  const timer = setInterval(() => {
    looks += 1
    for (const one of exposed(child.pid!)) seen.add(one)
  }, 100)
  const result = await outcome
  clearInterval(timer)
  return { ...result, seen: [...seen], looks }
}

const leaking = suite('leftovers of a real build')
leaking.after(async () => {
  server.close()
  await remove()
})
leaking('end it, a line each, before there is an image', async () => {
  const customize = join(dir, 'plant.sh')
  await writeFile(
    customize,
    [
      '#!/bin/sh -e',
      // What other users of this machine could read.
      'if grep -r s3cret /etc/apt/sources.list /etc/apt/sources.list.d; then exit 1; fi',
      'test "$(stat -c %a /etc/apt/auth.conf.d/*)" = 600',
      'apt-get install -y --no-install-recommends tree >/dev/null',
      'useradd --create-home ops && mkdir /home/ops/.ssh',
      'echo "ssh-ed25519 AAAA ops" >/home/ops/.ssh/authorized_keys',
      'echo root:swordfish | chpasswd',
      'echo "Acquire::http::Proxy \\"http://proxy:3128\\";" >/etc/apt/apt.conf.d/95proxy',
      'echo "$http_proxy" >/usr/share/doc/notes',
      '',
    ].join('\n'),
  )
  await chmod(customize, 0o755)
  const { status, stdout, stderr, seen, looks } = await build(
    ...['--customize', customize, '--allow-leftover', 'users'],
  )
  assert.is(status, 1)
  assert.is(stdout, '')
  const lines = stderr.split('\n')
  const said = lines.slice(lines.findIndex((line) => line.startsWith('Error: ')))
  assert.match(
    said.join('\n').replace(/\(byte \d+ /, '(byte N '),
    [
      'Error: Cannot ship the image: it holds 4 things that no image may bring along',
      '  passwords: /etc/shadow: root can log in by it',
      '  authorized-keys: /home/ops/.ssh/authorized_keys: 1 of them',
      '  proxies: /etc/apt/apt.conf.d/95proxy',
      '  secrets: password of the proxy, in /usr/share/doc/notes (byte N of the disk)',
      '  Take them away in --customize, or ship them on purpose: --allow-leftover passwords,authorized-keys,proxies,secrets',
    ].join('\n'),
  )
  assert.equal(await readdir(output).catch(() => []), [])
  assert.ok(server.asked.proxy > 0 && server.asked.mirror > 0, 'both passwords were used')
  assert.ok(looks > 50)
  assert.equal(seen, [])
  assert.equal(holds(stderr), [])
  assert.equal(await readdir(temporary), [])
})
leaking('are none in a build without them, and its passwords are nowhere', async () => {
  const events = join(dir, 'events')
  const { status, stdout, stderr, seen } = await build('--json', '--events', events)
  assert.is(status, 0)
  assert.equal(seen, [])
  const { manifest, image } = JSON.parse(stdout) as { manifest: string; image: { path: string } }
  for (const [what, text] of [
    ['standard output', stdout],
    ['standard error', stderr],
    ['events', await readFile(events, 'utf8')],
  ] as const) {
    assert.ok(text.length > 1000, what)
    assert.equal(holds(text), [], what)
  }
  const raw = join(dir, 'back.raw')
  execFileSync('bin/convert-image', [image.path, raw], { stdio: 'ignore' })
  // Another searcher than ours, over the disk, the files of the build, and the cache.
  const script =
    'tr "\\0" "\\n" <"$2" | grep -aFl --label "$2" -e "$1"; grep -raFl -e "$1" -- "$3" "$4"; true'
  const find = (text: string) =>
    execFileSync('sh', ['-c', script, 'sh', text, raw, output, cache], { encoding: 'utf8' })
  for (const secret of secrets) assert.is(find(secret), '')
  assert.ok(find('Debian').includes(raw), 'it does find what is there')
  const page = (await readdir(dirname(manifest))).find((name) => name.endsWith('report.html'))!
  assert.match(
    await readFile(join(dirname(manifest), page), 'utf8'),
    /Leftovers<\/dt>\s*<dd[^>]*>none/,
  )
  assert.equal(await readdir(temporary), [])
})
leaking.run()
