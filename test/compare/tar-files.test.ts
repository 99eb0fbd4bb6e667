import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createHash } from 'node:crypto'
import { pack } from 'tar-stream'
import { paxRecords } from '../../lib/compare/tar-attributes.ts'
import { type Files, LONGEST_TEXT, readTarFiles } from '../../lib/compare/tar-files.ts'
import { Random } from '../random.ts'
import { errorOf } from '../temporary.ts'
import { headerBlock, packTree, paxBlocks } from './tree.ts'

const inPieces = async function* (tar: Buffer, bytes = 1000) {
  for (let at = 0; at < tar.length; at += bytes) yield tar.subarray(at, at + bytes)
}
const read = (tar: Buffer, keepTexts = false): Promise<Files> =>
  readTarFiles(inPieces(tar), 'x.tgz', { keepTexts })

const files = suite('readTarFiles()')
files('gives all that a file has, by paths without a beginning', async () => {
  const found = await read(
    await packTree([
      { name: './', type: 'directory', mode: 0o755 },
      { name: './etc/', type: 'directory', mode: 0o2751, uid: 3, gid: 70_000 },
      { name: './etc/motd', content: 'hello\n', mode: 0o4644, mtime: new Date(5000) },
      { name: '/soft', type: 'symlink', linkname: 'etc/motd' },
      { name: 'dev/null', type: 'character-device', devmajor: 1, devminor: 3 },
    ]),
  )
  assert.equal([...found.keys()], ['/', 'etc', 'etc/motd', 'soft', 'dev/null'])
  const motd = found.get('etc/motd')!
  assert.is(motd.digest, createHash('sha256').update('hello\n').digest('hex'))
  assert.equal([motd.type, motd.mode, motd.size, motd.mtime], ['file', '4644', 6, '5'])
  assert.equal([found.get('etc')!.owner, found.get('etc')!.mode], ['3:70000', '2751'])
  assert.is(found.get('soft')!.target, 'etc/motd')
  assert.is(found.get('dev/null')!.device, '1:3')
})
files(
  'tells attributes apart that are the same to a reader of UTF-8, and gives each its own',
  async () => {
    const xattr = (value: Buffer) => [['SCHILY.xattr.security.capability', value]] as const
    const tar = Buffer.concat([
      paxBlocks(xattr(Buffer.from([1, 0, 0, 2, 0x80, 0x20]))),
      headerBlock('a'),
      paxBlocks(xattr(Buffer.from([1, 0, 0, 2, 0x90, 0x20]))),
      headerBlock('b'),
      headerBlock('c'),
      Buffer.alloc(1024),
    ])
    const found = await read(tar)
    const capability = (name: string) => found.get(name)!.attributes.get('security.capability')
    assert.is(capability('a'), '0x010000028020')
    assert.is(capability('b'), '0x010000029020')
    assert.is(capability('c'), undefined)
  },
)
files('keeps times to the nanosecond, and ACLs as one line', async () => {
  const records = [
    ['mtime', Buffer.from('1764475392.123456789')],
    ['SCHILY.acl.access', Buffer.from('user::rw-\nuser:33:rw-\n')],
    ['SCHILY.xattr.user.note', Buffer.from('kept')],
  ] as const
  const found = await read(
    Buffer.concat([paxBlocks(records), headerBlock('a'), Buffer.alloc(1024)]),
  )
  assert.is(found.get('a')!.mtime, '1764475392.123456789')
  assert.equal(
    [...found.get('a')!.attributes],
    [
      ['ACL', 'user::rw-,user:33:rw-'],
      ['user.note', 'kept'],
    ],
  )
})
files('hard links are the same in whatever order a tar has them', async () => {
  const names = ['b', 'a', 'c']
  const treeFrom = (first: string) =>
    packTree([
      { name: first, content: 'shared', mode: 0o600 },
      ...names
        .filter((name) => name !== first)
        .map((name) => ({ name, type: 'link' as const, linkname: first })),
    ])
  const sorted = (found: Files) => [...found].sort(([a], [b]) => (a < b ? -1 : 1))
  const [one, other] = [await read(await treeFrom('b')), await read(await treeFrom('c'))]
  assert.equal(sorted(one), sorted(other))
  assert.is(one.get('c')!.linked, 'a')
  assert.is(one.get('a')!.mode, '0600')
})
files('a link to nothing, or to itself, is told as one', async () => {
  const found = await read(
    await packTree([
      { name: 'a', type: 'link', linkname: 'gone' },
      { name: 'b', type: 'link', linkname: 'b' },
    ]),
  )
  assert.equal([found.get('a')!.type, found.get('a')!.target], ['link', 'gone'])
  assert.is(found.get('b')!.type, 'link')
  assert.not(found.has('gone'))
})
files('keeps the texts of short files alone, and only when told', async () => {
  const tree = await packTree([
    { name: 'short', content: 'text\n' },
    { name: 'binary', content: 'te\0xt' },
    { name: 'long', content: 'x'.repeat(LONGEST_TEXT + 1) },
  ])
  const texts = (found: Files) => [...found.values()].map(({ text }) => text)
  assert.equal(texts(await read(tree, true)), ['text\n', undefined, undefined])
  assert.equal(texts(await read(tree)), [undefined, undefined, undefined])
})
files('a tar that is cut within a file or a header, or damaged, is named', async () => {
  const tar = await packTree([{ name: 'a', content: 'x'.repeat(2000) }])
  for (const bytes of [100, 511, 700, 2000, 2500]) {
    const { message } = await errorOf(() => read(tar.subarray(0, bytes)))
    assert.match(message, /^Cannot read the files of "x\.tgz": the tar is damaged or cut off/)
  }
  const bad = Buffer.from(tar)
  bad[0]! ^= 1
  assert.match((await errorOf(() => read(bad))).message, /damaged or cut off/)
})
files("a fault of what is read is told in that one's words", async () => {
  const broken = async function* () {
    yield Buffer.alloc(10)
    throw new Error('the disk fell off')
  }
  const { message } = await errorOf(() => readTarFiles(broken(), 'x'))
  assert.match(message, /the disk fell off/)
})
files('reads what tar-stream itself has packed, of any size', async () => {
  const random = new Random(2)
  const packer = pack()
  const contents = Array.from({ length: 30 }, () => random.bytes(random.below(5000)))
  contents.forEach((content, i) => packer.entry({ name: `f${i}` }, content))
  packer.finalize()
  const found = await readTarFiles(packer as AsyncIterable<Buffer>, 'x')
  assert.is(found.size, 30)
  contents.forEach((content, i) => {
    const digest = createHash('sha256').update(content).digest('hex')
    assert.is(found.get(`f${i}`)!.digest, digest, `f${i}`)
  })
})
files.run()

const pax = suite('paxRecords()')
pax('reads values with line ends, equal signs and zeros, and stops at nonsense', () => {
  const value = Buffer.from('a=b\nc\0\xff', 'latin1')
  const records = paxRecords(paxBlocks([['key', value]]).subarray(512))
  assert.equal([...records], [['key', value]])
  for (const text of ['', 'x', '99', '0 a=b\n', '3 a', 'abc def']) {
    assert.is(paxRecords(Buffer.from(text)).size, 0, text)
  }
})
pax.run()
