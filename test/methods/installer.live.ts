/**
 * `create-image-debian --method installer` as an operator runs it, with a tiny installer on a medium
 * that is laid out as the vendor's: good installations, every way to fail, stages one by one.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import imgmanifest from 'imgmanifest'
import * as openpgp from 'openpgp'
import { debian } from '../../distros/debian.ts'
import type { Distro } from '../../distros/distro.ts'
import { parseArguments } from '../../lib/cli/options.ts'
import { Scope } from '../../lib/cli/scope.ts'
import { imageOptions, type ImageOptions } from '../../lib/image/image-options.ts'
import { resolveRecipe } from '../../lib/image/recipe.ts'
import { installer as method } from '../../lib/methods/installer.ts'
import { assertNothingLeft, leftovers, needPackages, run, start, workDir } from '../live.ts'
import { makeMiniInstaller, makeMiniMedium } from '../mini-installer.ts'
import { refusal } from '../refusal.ts'

needPackages({
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  cpio: 'cpio',
  curl: 'curl',
  xorriso: 'xorriso',
  'debconf-set-selections': 'debconf',
  'libdeflate-gzip': 'libdeflate-tools',
})

const { dir, remove } = await workDir()
await chmod(dir, 0o755) // apt downloads as a user of its own
const mini = await makeMiniInstaller(dir)
const iso = join(dir, 'mini.iso')
await makeMiniMedium(mini, iso)
const cache = join(dir, 'cache')
const before = leftovers()

const small = ['--size', '2G', '--memory', '256M', '--cpus', '1', '--accel', 'tcg']
// What it writes to the disk is no file system.
const unread = ['--allow-leftover', 'unread']
// Each one installs: what is kept of it is kept-system.live.ts' affair.
const installer = ['--method', 'installer', '--cache', cache, '--fresh', ...small, ...unread]

/** Words that tell the tiny installer what to do. */
async function told(what: string): Promise<string[]> {
  const answers = join(dir, `${what}.cfg`)
  await writeFile(answers, `# do=${what}\n`)
  return [...installer, '--iso', iso, '--answers', answers]
}
/** What a failed build may leave in its output: the console, for whoever has to find out why. */
const remains = async (output: string) => await readdir(output).catch(() => [])

const building = suite('create-image-debian --method installer')
building('makes an image of what the installer left on the disk', async () => {
  const output = join(dir, 'bits')
  const { status, stdout, stderr } = await run('create-image-debian', [
    ...['13', ...(await told('good')), '--output', output, '--json'],
  ])
  assert.is(status, 0)
  const { manifest, image, serialLog } = JSON.parse(stdout) as {
    manifest: string
    image: { path: string }
    serialLog: string
  }
  const written = JSON.parse(await readFile(manifest, 'utf8')) as Record<string, unknown>
  assert.is(imgmanifest.validatePublicManifest({ ...written, activated: true } as never), null)
  assert.is((await run('inspect-image', [manifest])).status, 0)
  assert.match(await readFile(serialLog, 'utf8'), /^JOYENT_STATUS_POST=ok/m)
  assert.equal((await readdir(output)).sort(), [
    'debian-13',
    'debian-13-latest-build-stamp',
    'debian-13-qemu.log',
  ])
  assert.match(stderr, /^Phase two: partitions$/m, 'the serial console is shown live')
  assert.match(stderr, /^Screen: VNC at 127\.0\.0\.1 port 59\d\d, password \S{8}$/m)
  const raw = join(dir, 'back.raw')
  assert.is((await run('convert-image', [image.path, raw])).status, 0)
  const written4M = spawnSync('sh', ['-c', `head -c 4M ${raw} | tr -d x | wc -c`], {
    encoding: 'utf8',
  })
  assert.is(written4M.stdout.trim(), '0')
  await rm(raw)
  assertNothingLeft(before)
})

for (const [what, wrong] of [
  ['late', /it says JOYENT_STATUS_POST=fail: grub-installer: error: cannot install GRUB$/m],
  ['early-fail', /in phase "Network": it says JOYENT_STATUS_POST=fail: main-menu: WARNING/],
  ['panic', /in phase "Network": Kernel panic - not syncing/],
  ['question', /in phase "Network": the installer asks a question: Select a language$/m],
  ['unmarked', /JOYENT_STATUS_POST is missing/],
  ['unexpected', /JOYENT_STATUS_DRIVERS is unexpected/],
  ['reboot', /JOYENT_STATUS_POST is missing/],
] as const) {
  building(`says how an installation failed, and writes no image: ${what}`, async () => {
    const output = join(dir, `bits-${what}`)
    const words = ['13', ...(await told(what)), '--output', output]
    const { status, stdout, stderr } = await run('create-image-debian', words)
    assert.is(status, 1)
    const message = stderr.split('\n').find((line) => line.startsWith('Error: '))!
    assert.match(message, /^Error: Installation failed/)
    assert.match(message, wrong)
    assert.is(stdout, '')
    assert.equal(await remains(output), ['debian-13-qemu.log'])
    assertNothingLeft(before)
  })
}
building('ends an installation that takes too long', async () => {
  const output = join(dir, 'bits-chatty')
  const words = ['13', ...(await told('chatty')), '--timeout', '20', '--output', output]
  const { status, stderr } = await run('create-image-debian', words)
  assert.is(status, 1)
  assert.match(stderr, /^Error: .*the installation took over 20 s.*\n  --timeout allows more$/m)
  assertNothingLeft(before)
})
building('says that QEMU was killed', async () => {
  const output = join(dir, 'bits-killed')
  const words = ['13', ...(await told('silent')), '--output', output]
  const env = { TMPDIR: await mkdtemp(join(dir, 'mine-')) } // nobody else's machine is killed
  const { outcome, shows } = start('create-image-debian', words, { env })
  await shows(/Phase two/)
  execFileSync('pkill', ['-KILL', '-f', `qemu-system.*file=${env.TMPDIR}/`])
  const { status, stderr } = await outcome
  assert.is(status, 1)
  assert.match(
    stderr,
    /^Error: Installation failed in phase "Network": QEMU was killed by SIGKILL/m,
  )
  assert.equal(await readdir(env.TMPDIR), [])
  assertNothingLeft(before)
})
building("says that the host's disk is full", async () => {
  const tmpfs = join(dir, 'tmpfs')
  await mkdir(tmpfs)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=100M', 'tmpfs', tmpfs])
  try {
    const words = ['13', ...(await told('fill')), '--output', join(dir, 'bits-full')]
    const { status, stderr } = await run('create-image-debian', words, { env: { TMPDIR: tmpfs } })
    assert.is(status, 1)
    assert.match(stderr, /^Error: .*the disk can't be written: No space left on device/m)
    assert.equal(await readdir(tmpfs), [])
  } finally {
    execFileSync('umount', [tmpfs])
  }
  assertNothingLeft(before)
})
building('takes back everything when it is interrupted', async () => {
  const output = join(dir, 'bits-interrupted')
  const words = ['13', ...(await told('silent')), '--output', output]
  const { child, outcome, shows } = start('create-image-debian', words)
  await shows(/Phase two/)
  child.kill('SIGINT')
  assert.is((await outcome).status, 130)
  assert.equal(await remains(output), [])
  assertNothingLeft(before)
})
building('builds the same name twice at once, on another port where one is taken', async () => {
  const taken = createServer()
  const listening = await new Promise<boolean>((done) => {
    taken.once('error', () => done(false)) // somebody else has it: as good
    taken.listen(5900, '127.0.0.1', () => done(true))
  })
  const outcomes = await Promise.all(
    ['a', 'b'].map(async (one) => {
      const output = join(dir, 'same', one)
      return run('create-image-debian', ['13', ...(await told('good')), '--output', output])
    }),
  )
  if (listening) taken.close()
  assert.equal(
    outcomes.map(({ status }) => status),
    [0, 0],
  )
  const ports = outcomes.map(({ stderr }) => /VNC at 127\.0\.0\.1 port (\d+)/.exec(stderr)?.[1])
  assert.not(ports.includes('5900'))
  assert.is(new Set(ports).size, 2)
  assertNothingLeft(before)
})
building('refuses media that are none, without the installer, or changed', async () => {
  const page = join(dir, 'page.iso')
  await writeFile(page, '<html>404</html>')
  const empty = join(dir, 'empty.iso')
  await mkdir(`${empty}.tree`)
  await writeFile(join(`${empty}.tree`, 'README'), 'x')
  execFileSync('xorriso', ['-as', 'mkisofs', '-quiet', '-o', empty, `${empty}.tree`], {
    stdio: 'ignore',
  })
  const cut = join(dir, 'cut.iso')
  await writeFile(cut, (await readFile(iso)).subarray(0, 40_000))
  await truncate(cut, 40_000)
  for (const [words, status, wrong] of [
    [['--iso', page], 1, /it is no ISO 9660 image/],
    [
      ['--iso', empty],
      1,
      /Cannot find Debian's installer in ".*empty\.iso": wanted is \/install\.amd/,
    ],
    [['--iso', cut], 1, /Cannot read ".*cut\.iso": it is damaged/],
    [['--iso', join(dir, 'none.iso')], 1, /no such file/],
    [
      ['--iso', iso, '--checksum', '0'.repeat(64)],
      1,
      /its sha256 is [0-9a-f]{64}, wanted is 0{64}/,
    ],
    [['--iso', 'http://127.0.0.1:1/a.iso'], 2, /without --checksum/],
    [['--iso', iso, '--qemu-binary', '/no/qemu'], 3, /Cannot find QEMU as "\/no\/qemu"/],
  ] as const) {
    const output = join(dir, 'bits-refused')
    const all = ['13', ...installer, ...words, '--output', output]
    const outcome = await run('create-image-debian', all)
    assert.is(outcome.status, status, outcome.stderr)
    const message = outcome.stderr.split('\n').filter((line) => line.startsWith('Error: '))
    assert.is(message.length, 1)
    assert.match(message[0]!, wrong)
    assert.equal(await remains(output), [])
  }
  assertNothingLeft(before)
})
building('runs stage by stage: fetch from an address, iso, image, upload', async () => {
  const content = await readFile(iso)
  const requests: string[] = []
  const server = createHttpServer((request, response) => {
    requests.push(request.url!)
    response.end(content)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/debian/mini.iso`
  const checksum = createHash('sha256').update(content).digest('hex')
  const answers = join(dir, 'good.cfg')
  const output = join(dir, 'bits-stages')
  const medium = ['--iso', address, '--checksum', checksum]
  const stage = (...words: string[]) =>
    run(
      'create-image-debian',
      ['13', ...words, ...installer, ...medium, '--answers', answers, '--output', output],
      { env: { no_proxy: '127.0.0.1' } },
    )
  try {
    const early = await stage('image')
    assert.is(early.status, 1)
    assert.match(early.stderr, /^Error: Cannot use http:\S+ offline/m)
    assert.equal(requests, [])

    const fetched = await stage('fetch')
    assert.is(fetched.status, 0)
    assert.ok((await readFile(fetched.stdout.trim())).equals(content))
    assert.equal(requests, ['/debian/mini.iso'])
    assert.is((await stage('fetch')).status, 0)
    assert.is(requests.length, 1, 'fetched once')
  } finally {
    server.close()
  }
  const written = await stage('iso')
  assert.is(written.status, 0)
  const tree = written.stdout.trim()
  assert.match(await readFile(join(tree, 'preseed.cfg'), 'utf8'), /^# do=good$/m)
  assert.is((await stage('iso')).stdout.trim(), tree, 'the same answers, the same place')

  assert.is((await stage('upload', '--upload-to', join(dir, 'srv'))).status, 1)
  const image = await stage('image')
  assert.is(image.status, 0)
  const uploaded = await stage('upload', '--upload-to', join(dir, 'srv'))
  assert.is(uploaded.status, 0)
  const paths = uploaded.stdout.trim().split('\n')
  assert.is(paths.length, 5, 'image, manifest, serial log, provenance, report')
  for (const path of paths) assert.ok(path.startsWith(join(dir, 'srv/debian-13/')))
  const list = join(output, 'debian-13.artifacts-in-manta')
  assert.is(await readFile(list, 'utf8'), uploaded.stdout)
  const [manifest] = paths.filter((path) => path.endsWith('.imgmanifest'))
  assert.is((await run('inspect-image', [manifest!])).status, 0)
  assertNothingLeft(before)
})
/** A vendor of our own: its folder, its key, its definition. */
async function withVendor(
  use: (vendor: {
    files: Record<string, string | Buffer>
    requests: string[]
    fetch: (words?: string[]) => Promise<string>
  }) => Promise<void>,
) {
  const pair = await openpgp.generateKey({
    userIDs: [{ name: 'V' }],
    type: 'ecc',
    format: 'object',
  })
  const content = await readFile(iso)
  const list = `${createHash('sha512').update(content).digest('hex')}  debian-13.9.0-amd64-netinst.iso\n`
  const message = await openpgp.createMessage({ binary: Buffer.from(list) })
  const signature = await openpgp.sign({ message, signingKeys: pair.privateKey, detached: true })
  const files: Record<string, string | Buffer> = {
    '/key.txt': pair.publicKey.armor(),
    '/cd/SHA512SUMS': list,
    '/cd/SHA512SUMS.sign': String(signature),
    '/cd/debian-13.9.0-amd64-netinst.iso': content,
  }
  const requests: string[] = []
  const server = createHttpServer((request, response) => {
    requests.push(request.url!)
    const file = files[request.url!]
    if (file === undefined) response.writeHead(404).end()
    else response.end(file)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const definition: Distro = {
    ...debian,
    releases: debian.releases.map((release) => ({
      ...release,
      media: {
        ...release.media,
        roots: [`${base}/gone/`, `${base}/cd/`],
        key: {
          fingerprints: [pair.publicKey.getFingerprint()],
          file: '/no/keyring.gpg',
          url: `${base}/key.txt`,
        },
      },
    })),
  }
  const own = await mkdtemp(join(dir, 'vendor-'))
  const scope = new Scope()
  const fetch = async (words: string[] = []) => {
    const command = { name: 'x', summary: '', words: ['R'], options: imageOptions, examples: [] }
    const all = ['13', '--method', 'installer', '--cache', own, ...words]
    const { options } = parseArguments(command, all, {})
    const at = new Date()
    const stamp = { text: 'x', branch: 'x', at, commit: 'x' }
    const recipe = await resolveRecipe(definition, '13', options as ImageOptions, stamp)
    const stages = { directory: undefined, fresh: true }
    const build = {
      distro: definition,
      recipe,
      scope,
      work: own,
      seed: 'x',
      epochSeconds: 0,
      stages,
    }
    return (await method.fetch(build, () => {})).path
  }
  try {
    await use({ files, requests, fetch })
  } finally {
    server.close()
    await scope.close(false)
  }
}
building("finds the vendor's newest medium, by its list and its key", () =>
  withVendor(async ({ requests, fetch }) => {
    assert.ok((await readFile(await fetch())).equals(await readFile(iso)))
    await fetch()
    assert.is(requests.filter((path) => path === '/key.txt').length, 1, 'the key is kept')
    assert.is(requests.filter((path) => path.endsWith('.iso')).length, 1, 'so is the medium')
    const asked = requests.length
    await fetch(['--offline'])
    assert.is(requests.length, asked)
  }),
)
building("refuses a vendor's key with another fingerprint, and does not keep it", () =>
  withVendor(async ({ files, requests, fetch }) => {
    const other = await openpgp.generateKey({ userIDs: [{ name: 'F' }], format: 'object' })
    const good = files['/key.txt']!
    files['/key.txt'] = other.publicKey.armor()
    assert.match(
      await refusal(fetch()),
      /^Cannot use key "http:\S+key\.txt": it holds [0-9a-f]+, pinned/,
    )
    files['/key.txt'] = '<html>moved</html>'
    assert.match(await refusal(fetch()), /^Cannot read key/)
    delete files['/key.txt']
    assert.match(await refusal(fetch()), /^Cannot fetch http:\S+key\.txt: .*404/)
    assert.not(requests.some((path) => path.endsWith('.iso')))
    files['/key.txt'] = good
    assert.ok(await fetch())
    const own = join(dir, 'other.asc')
    await writeFile(own, other.publicKey.armor())
    assert.match(await refusal(fetch(['--key', own])), /^Cannot use key ".*other\.asc": it holds/)
  }),
)
building('one build fetches, another of the same cache waits for it', () =>
  withVendor(async ({ requests, fetch }) => {
    const [one, two] = await Promise.all([fetch(), fetch()])
    assert.is(one, two)
    assert.is(requests.filter((path) => path.endsWith('.iso')).length, 1)
  }),
)
building.run()

const answering = suite('answers for Debian')
for (const release of ['11', '12', '13']) {
  for (const layout of ['plain', 'lvm']) {
    answering(`debconf can read those for ${release}, ${layout}`, async () => {
      const { stdout, status } = await run('create-image-debian', [
        ...[release, 'iso', '--method', 'installer', '--layout', layout, '--cache', cache],
        ...['--mirror', 'http://127.0.0.1/debian', '--proxy', 'http://localhost:3128'],
      ])
      assert.is(status, 0)
      const preseed = join(stdout.trim(), 'preseed.cfg')
      const checked = spawnSync('debconf-set-selections', ['--checkonly', preseed], {
        encoding: 'utf8',
      })
      assert.is(checked.status, 0, checked.stderr)
      assert.is(checked.stderr, '')
      // It has to notice something that is wrong, or it shows nothing.
      const broken = join(dir, 'broken.cfg')
      await writeFile(broken, `${await readFile(preseed, 'utf8')}\nd-i only-two-words\n`)
      assert.not(spawnSync('debconf-set-selections', ['--checkonly', broken]).stderr.length === 0)
    })
  }
}
answering.after(remove)
answering.run()
