/** The command, with root tars and streams that are made here; disks with file systems are in the live test. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawn } from 'node:child_process'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { Scope } from '../../lib/cli/scope.ts'
import { compareImages } from '../../lib/compare/compare-images.ts'
import { errorOf, inTemporaryDir } from '../temporary.ts'
import { packTree, type TreeEntry } from './tree.ts'

const command = fileURLToPath(new URL('../../bin/compare-images', import.meta.url))

/** Run it where the files are; whatever it does, it leaves them as they are and nothing beside them. */
async function compare(dir: string, ...words: string[]) {
  const temporary = join(dir, 'tmp')
  await mkdir(temporary, { recursive: true })
  const before = await readdir(dir)
  const child = spawn(command, [...words, '--no-install'], {
    cwd: dir,
    env: { ...process.env, TMPDIR: temporary },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const result = { stdout: '', stderr: '' }
  child.stdout.on('data', (data: Buffer) => (result.stdout += data))
  child.stderr.on('data', (data: Buffer) => (result.stderr += data))
  const status = await new Promise<number | null>((done) => child.on('close', done))
  assert.equal(await readdir(temporary), [])
  assert.equal(await readdir(dir), before)
  return { ...result, status }
}

const TREE: readonly TreeEntry[] = [
  { name: './', type: 'directory', mode: 0o755 },
  { name: './etc/', type: 'directory', mode: 0o755 },
  { name: './etc/motd', content: 'hello\nworld\n' },
  { name: './etc/shadow', content: 'secret', mode: 0o640, gid: 42 },
  { name: './sh', type: 'symlink', linkname: 'bin/dash' },
]
const writeTree = async (path: string, entries: readonly TreeEntry[], level = 6) =>
  writeFile(path, gzipSync(await packTree(entries), { level }))
const changed = (name: string, change: Partial<TreeEntry>) =>
  TREE.map((one) => (one.name === name ? { ...one, ...change } : one))

const tars = suite('compare-images, root tars')
tars('the same file is the same: status 0', () =>
  inTemporaryDir(async (dir) => {
    await writeTree(join(dir, 'a.tar.gz'), TREE)
    const { status, stdout, stderr } = await compare(dir, 'a.tar.gz', 'a.tar.gz')
    assert.is(status, 0, stderr)
    assert.match(stdout, /^The same:\n {2}image file {2}same {2}sha256 [0-9a-f]{64}$/m)
  }),
)
tars('says what differs and ends with 1, which is no error', () =>
  inTemporaryDir(async (dir) => {
    await writeTree(join(dir, 'a.tar.gz'), TREE)
    await writeTree(join(dir, 'b.tgz'), [
      ...changed('./etc/motd', { content: 'hello\nthere\n', mtime: new Date(5000) }),
      { name: './new', content: 'x' },
    ])
    const { status, stdout, stderr } = await compare(dir, 'a.tar.gz', 'b.tgz', '--diff')
    assert.is(status, 1, stderr)
    assert.not.match(stderr, /Error/)
    assert.match(stdout, /^ {2}files +differs +1 only in B, 1 with other content$/m)
    assert.match(stdout, /^ {4}new {2}file, 1 bytes, mode 0644, owner 0:0$/m)
    assert.match(stdout, /^ {4}etc\/motd {2}content, 12 bytes each; mtime$/m)
    assert.match(stdout, /^ {6}-world\n {6}\+there$/m)
  }),
)
tars('JSON has all of it, and nothing else is on standard output', () =>
  inTemporaryDir(async (dir) => {
    await writeTree(join(dir, 'a.tar.gz'), TREE)
    await writeTree(join(dir, 'b.tar.gz'), changed('./etc/shadow', { mode: 0o644 }))
    const { status, stdout } = await compare(dir, 'a.tar.gz', 'b.tar.gz', '--json')
    assert.is(status, 1)
    const { same, a, parts } = JSON.parse(stdout) as {
      same: boolean
      a: { format: string }
      parts: { part: string; state: string; differences: unknown[] }[]
    }
    assert.is(same, false)
    assert.is(a.format, 'tgz')
    const [files] = parts.filter(({ part }) => part === 'files')
    const fields = [{ field: 'mode', a: '0640', b: '0644' }]
    assert.equal(files!.differences, [
      { kind: 'file', what: 'etc/shadow', change: 'changed', fields },
    ])
  }),
)
tars('the same content packed in another way is told as that', () =>
  inTemporaryDir(async (dir) => {
    await writeTree(join(dir, 'a.tar.gz'), TREE)
    await writeTree(join(dir, 'b.tar.gz'), [...TREE].reverse())
    const { status, stdout } = await compare(dir, 'a.tar.gz', 'b.tar.gz')
    assert.is(status, 1)
    assert.match(stdout, /^ {2}image file +differs +the same content, packed in another way$/m)
    assert.match(stdout, /^ {2}files +same +5 files$/m)
    // Another level of compression is another byte of gzip's header.
    await writeTree(join(dir, 'c.tar.gz'), TREE, 9)
    assert.match((await compare(dir, 'a.tar.gz', 'c.tar.gz')).stdout, /^ {2}extra flags {2}0x/m)
  }),
)
tars('times alone: different, and the same with --ignore-times', () =>
  inTemporaryDir(async (dir) => {
    await writeTree(join(dir, 'a.tar.gz'), TREE)
    await writeTree(join(dir, 'b.tar.gz'), changed('./sh', { mtime: new Date(5000) }))
    assert.is((await compare(dir, 'a.tar.gz', 'b.tar.gz')).status, 1)
    const { status, stdout } = await compare(dir, 'a.tar.gz', 'b.tar.gz', '--ignore-times')
    assert.is(status, 0, stdout)
    assert.match(stdout, /^The same, as far as they were compared:$/m)
  }),
)
tars.run()

/** What comparing two files of a directory ends with. */
async function failure(dir: string, words: readonly [string, string]) {
  const wanted = { ignoreTimes: false, diff: false, install: false }
  const scope = new Scope()
  const paths = [join(dir, words[0]), join(dir, words[1])] as const
  try {
    return await errorOf(() => compareImages(paths, wanted, scope))
  } finally {
    await scope.close(true)
  }
}

const refusals = suite('compare-images, what it refuses')
refusals('a missing word and an option that is none: status 2', () =>
  inTemporaryDir(async (dir) => {
    assert.is((await compare(dir, 'a.tar.gz')).status, 2)
    assert.is((await compare(dir, 'a.tar.gz', 'b.tar.gz', '--deep')).status, 2)
  }),
)
refusals('an error has a line of its own, and nothing is on standard output', () =>
  inTemporaryDir(async (dir) => {
    await writeTree(join(dir, 'a.tar.gz'), TREE)
    const { status, stdout, stderr } = await compare(dir, 'a.tar.gz', 'none.tar.gz')
    assert.equal([status, stdout], [1, ''])
    assert.match(stderr, /^Error: Cannot read "none\.tar\.gz": no such file or directory$/m)
  }),
)
refusals('what is not there, cut, damaged or of no known format is named', () =>
  inTemporaryDir(async (dir) => {
    await writeTree(join(dir, 'a.tar.gz'), TREE)
    const tar = await packTree(TREE)
    const packed = await readFile(join(dir, 'a.tar.gz'))
    await mkdir(join(dir, 'directory'))
    await symlink('/dev/zero', join(dir, 'device'))
    for (const [name, content, expected] of [
      ['none.tar.gz', undefined, /^Cannot read ".*none\.tar\.gz": no such file/m],
      ['directory', undefined, /^Cannot read ".*directory": it is a directory$/m],
      [
        'device',
        undefined,
        /^Cannot read ".*device": it is no regular file, but a pipe, a socket or a device$/m,
      ],
      ['empty.raw', Buffer.alloc(0), /^Cannot read ".*empty\.raw": it is empty$/m],
      ['plain.tar', tar, /^Cannot use ".*plain\.tar": it holds a tar archive$/m],
      ['cut.tar.gz', packed.subarray(0, -9), /^Cannot decompress ".*cut\.tar\.gz": it is cut/m],
      [
        'within.tar.gz',
        gzipSync(tar.subarray(0, 1800)),
        /^Cannot read the files of ".*within\.tar\.gz": the tar is damaged or cut off/m,
      ],
      ['bad.imgmanifest', Buffer.from('{}'), /^Cannot read manifest ".*bad\.imgmanifest"/m],
    ] as const) {
      if (content) await writeFile(join(dir, name), content)
      for (const words of [
        [name, 'a.tar.gz'],
        ['a.tar.gz', name],
      ] as const) {
        assert.match((await failure(dir, words)).message, expected)
      }
    }
  }),
)
refusals.run()
