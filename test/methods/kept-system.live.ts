/**
 * Systems that were made in a machine, kept for the next build: taken where nothing has changed, made anew where something
 * has, whole or not at all. With the tiny installer, and a mirror whose lists the test changes.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { assertNothingLeft, leftovers, needPackages, run, start, workDir } from '../live.ts'
import { makeMiniInstaller, makeMiniMedium } from '../mini-installer.ts'

needPackages({
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  cpio: 'cpio',
  curl: 'curl',
  xorriso: 'xorriso',
  zstd: 'zstd',
  'libdeflate-gzip': 'libdeflate-tools',
})

const { dir, remove } = await workDir()
await chmod(dir, 0o755) // apt downloads as a user of its own
const iso = join(dir, 'mini.iso')
await makeMiniMedium(await makeMiniInstaller(dir), iso)
const cache = join(dir, 'cache')
const stages = join(cache, 'stages/debian-13-smartos')
const before = leftovers()

/** A mirror of which only the signed lists are asked for. */
const lists: Record<string, string> = {
  '/debian/dists/trixie/InRelease': 'Date: Mon, 30 Nov 2026 08:00:00 UTC\n',
}
const asked: string[] = []
const server = createServer((request, response) => {
  asked.push(request.url!)
  const list = lists[request.url!]
  if (list === undefined) response.writeHead(404).end()
  else response.end(list)
})
await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
const mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}/debian`

const answers = join(dir, 'answers.cfg')
await writeFile(answers, '# do=good\n')
const words = (output: string, ...more: string[]) => [
  ...['13', '--method', 'installer', '--cache', cache, '--iso', iso, '--answers', answers],
  ...(more.includes('--size') ? [] : ['--size', '2G']),
  ...['--memory', '256M', '--cpus', '1', '--accel', 'tcg'],
  ...['--mirror', mirror, '--security-mirror', 'none', '--output', join(dir, output), '--json'],
  ...more,
]
// What the tiny installer writes to the disk is no file system.
const allowed = ['--allow-leftover', 'unread']
const env = { no_proxy: '127.0.0.1', SOURCE_DATE_EPOCH: '1796000000' }
type Result = { manifest: string; image: { sha1: string } }
type Manifest = { files: [{ dataset_guid: string }] }
/** One after the other, in directories of their own. */
let builds = 0
async function build(...more: string[]) {
  const outcome = await run('create-image-debian', words(`bits-${builds++}`, ...more), { env })
  const { stderr, stdout, status } = outcome
  const result = status === 0 ? (JSON.parse(stdout) as Result) : undefined
  const manifest = result && (JSON.parse(await readFile(result.manifest, 'utf8')) as Manifest)
  return {
    ...outcome,
    installed: /^Phase two: partitions$/m.test(stderr),
    system: /^Take the system of an earlier build: /m.test(stderr),
    image: /^Take the image of an earlier build: /m.test(stderr),
    sha1: result?.image.sha1 ?? '',
    guid: manifest?.files[0].dataset_guid ?? '',
  }
}
const assertInstalled = (made: Awaited<ReturnType<typeof build>>) => {
  assert.is(made.status, 0, made.stderr)
  assert.equal([made.installed, made.system, made.image], [true, false, false])
}

let first = ''
let guid = ''
const keeping = suite('systems that were made in a machine')
keeping('a refused system is not made again when it is allowed', async () => {
  const refused = await build()
  assert.is(refused.status, 1)
  assert.ok(refused.installed)
  assert.match(refused.stderr, /^ {2}unread: /m)
  const again = await build()
  assert.is(again.status, 1)
  assert.equal([again.installed, again.system], [false, true])

  const made = await build(...allowed)
  assert.is(made.status, 0, made.stderr)
  assert.equal([made.installed, made.system, made.image], [false, true, false])
  first = made.sha1
  guid = made.guid
  assertNothingLeft(before)
})
keeping(
  'the image is taken when nothing has changed, with the console and all records',
  async () => {
    const made = await build(...allowed)
    assert.is(made.status, 0, made.stderr)
    assert.equal([made.installed, made.system, made.image], [false, false, true])
    assert.is(made.sha1, first)
    assert.match(made.stderr, /^Nothing that it is made of has changed since/m)
    const { manifest, serialLog } = JSON.parse(made.stdout) as {
      manifest: string
      serialLog: string
    }
    assert.match(await readFile(serialLog, 'utf8'), /^JOYENT_STATUS_POST=ok/m)
    const names = (await readdir(join(manifest, '..'))).map((name) => name.replace(/^.*?\./, ''))
    assert.equal(names.sort(), [
      'imgmanifest',
      'provenance.json',
      'report.html',
      'serial.log',
      'zfs.gz',
    ])
    const provenance = await readFile(manifest.replace('imgmanifest', 'provenance.json'), 'utf8')
    const sha256 = execFileSync('sha256sum', [iso], { encoding: 'utf8' }).slice(0, 64)
    assert.match(provenance, new RegExp(sha256), 'the medium is a material of it')
    assertNothingLeft(before)
  },
)
keeping('an image that is made again of the same system is the same', async () => {
  const made = await build('--allow-leftover', 'unread,logs')
  assert.is(made.status, 0, made.stderr)
  assert.equal([made.installed, made.system], [false, true])
  assert.is(made.sha1, first)
})
keeping('what is kept is the disk, for nobody else to read', async () => {
  const kept = (await readdir(stages)).find((name) => name.startsWith('disk-'))!
  const packed = join(stages, kept, 'system.tar.zst')
  assert.is((await stat(packed)).mode & 0o777, 0o600)
  const list = execFileSync('tar', ['--list', '--verbose', '--file', packed], { encoding: 'utf8' })
  assert.match(list, / 2147483648 \S+ \S+ disk$/m)
  assert.ok((await stat(packed)).size < 1e6, 'its holes take no room')
})
keeping('that the state of the mirror can not be noted is no harm', async () => {
  const notes = join(cache, 'sources')
  execFileSync('rm', ['-r', notes])
  await writeFile(notes, '') // in the way
  const made = await build(...allowed)
  assert.equal([made.status, made.image], [0, true], made.stderr)
  assert.not.match(made.stderr, /^ +at /m)
  execFileSync('rm', [notes])
  assert.equal((await build(...allowed)).image, true)
})
keeping('offline the last known state of the mirror is good', async () => {
  asked.length = 0
  const made = await build(...allowed, '--offline')
  assert.equal([made.status, made.image], [0, true])
  assert.equal(asked, [])
})
for (const [signal, size] of [
  ['SIGKILL', '3G'],
  ['SIGINT', '5G'],
] as const) {
  keeping(`a build that ends behind the installation goes on there: ${signal}`, async () => {
    const more = [...allowed, '--size', size]
    const { child, outcome, shows } = start('create-image-debian', words('bits-ended', ...more), {
      env,
    })
    await shows(/^Look for leftovers$/m)
    child.kill(signal)
    await outcome
    const made = await build(...more)
    assert.is(made.status, 0, made.stderr)
    assert.equal([made.installed, made.system], [false, true])
    assertNothingLeft(before)
  })
  keeping(`a build that ends while it keeps a system leaves no half of it: ${signal}`, async () => {
    const more = [...allowed, '--size', size, '--include', 'tmux']
    const { child, outcome, shows } = start('create-image-debian', words('bits-ended', ...more), {
      env,
    })
    await shows(/^Keep the system for the next build$/m)
    child.kill(signal)
    await outcome
    const made = await build(...more)
    assert.is(made.status, 0, made.stderr)
    assert.is(made.installed, !made.system, 'kept before the signal came, or not at all')
    const halves = (await readdir(stages)).filter(
      (name) => !/^(disk|image)-[0-9a-f]{32}$/.test(name),
    )
    assert.equal(halves, [])
    assertNothingLeft(before)
  })
}
for (const [what, change, undo] of [
  [
    'other lists of the mirror',
    () => (lists['/debian/dists/trixie/InRelease'] = 'Date: Mon, 30 Nov 2026 14:00:00 UTC\n'),
    () => (lists['/debian/dists/trixie/InRelease'] = 'Date: Mon, 30 Nov 2026 08:00:00 UTC\n'),
  ],
  [
    'a list that was not there',
    () => (lists['/debian/dists/trixie-updates/InRelease'] = 'Date: Mon, 30 Nov 2026\n'),
    () => delete lists['/debian/dists/trixie-updates/InRelease'],
  ],
  [
    'other answers',
    () => writeFile(answers, '# do=good, but not as before\n'),
    () => writeFile(answers, '# do=good\n'),
  ],
] as const) {
  keeping(`the system is made anew, and not a word of the old one taken: ${what}`, async () => {
    await change()
    try {
      assertInstalled(await build(...allowed))
    } finally {
      await undo()
    }
  })
}
for (const [what, more] of [
  ['--fresh', ['--fresh']],
  ['--size', ['--size', '4G']],
  ['--include', ['--include', 'tmux']],
  ['a kernel', ['--kernel', 'linux-image-cloud-amd64']],
] as const) {
  keeping(`the system is made anew: ${what}`, async () => {
    const made = await build(...allowed, ...more)
    assertInstalled(made)
    // The tiny installer writes the same each time; a vendor's does not, and receivers go by the guid.
    assert.is.not(made.guid, guid)
  })
}
keeping('a day later it is another image', async () => {
  const day = { ...env, SOURCE_DATE_EPOCH: '1796090000' }
  const { stderr, status } = await run('create-image-debian', words('bits-day', ...allowed), {
    env: day,
  })
  assert.is(status, 0)
  assert.match(stderr, /^Phase two: partitions$/m)
})
keeping('nothing is kept or taken when nobody knows what the mirror holds', async () => {
  const list = lists['/debian/dists/trixie/InRelease']!
  delete lists['/debian/dists/trixie/InRelease']
  try {
    const had = (await readdir(stages)).sort()
    assertInstalled(await build(...allowed))
    assertInstalled(await build(...allowed))
    assert.equal((await readdir(stages)).sort(), had)
  } finally {
    lists['/debian/dists/trixie/InRelease'] = list
  }
})
keeping('two of a kind stay, the halves of none', async () => {
  const names = (await readdir(stages)).sort()
  assert.equal(
    names.map((name) => name.replace(/-[0-9a-f]{32}$/, '')),
    ['disk', 'disk', 'image', 'image'],
  )
})
keeping('one that is damaged is told, and made anew', async () => {
  assertInstalled(await build(...allowed, '--fresh'))
  for (const name of await readdir(stages)) {
    if (name.startsWith('image-')) execFileSync('rm', ['-r', join(stages, name)])
    else await writeFile(join(stages, name, 'system.tar.zst'), 'half of it')
  }
  const made = await build(...allowed)
  assert.is(made.status, 0, made.stderr)
  assert.ok(made.installed)
  assert.match(made.stderr, /^Warning: The stage "disk" in \S+ is damaged: it is made anew$/m)
  assertNothingLeft(before)
})
keeping.after(async () => {
  server.close()
  await remove()
})
keeping.run()
