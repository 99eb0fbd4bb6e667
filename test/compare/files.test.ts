import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { compareFiles, showTime } from '../../lib/compare/files.ts'
import { fileGroups } from '../../lib/compare/difference.ts'
import type { FileEntry, Files } from '../../lib/compare/tar-files.ts'

const file: FileEntry = {
  ...{ type: 'file', mode: '0644', owner: '0:0', size: 3, mtime: '1764475392' },
  ...{ digest: 'aa', attributes: new Map([['user.note', 'kept']]) },
}
const tree = (entries: Record<string, Partial<FileEntry>>): Files =>
  new Map(Object.entries(entries).map(([path, change]) => [path, { ...file, ...change }]))

const comparing = suite('compareFiles()')
comparing('finds nothing in the same files, in whatever order', () => {
  assert.equal(compareFiles(tree({ a: {}, b: {} }), tree({ b: {}, a: {} })), [])
})
for (const [field, change, a, b] of [
  ['content', { digest: 'bb', size: 4 }, '3 bytes, sha256 aa', '4 bytes, sha256 bb'],
  ['mode', { mode: '4755' }, '0644', '4755'],
  ['owner', { owner: '0:33' }, '0:0', '0:33'],
  ['hard link to', { linked: 'other' }, 'none', 'other'],
  ['user.note', { attributes: new Map() }, 'kept', 'none'],
  ['mtime', { mtime: '1764475392.5' }, '2025-11-30T04:03:12Z', '2025-11-30T04:03:12.5Z'],
] as const) {
  comparing(`tells of another ${field}, and of nothing else`, () => {
    const [found, ...more] = compareFiles(tree({ x: {}, same: {} }), tree({ x: change, same: {} }))
    assert.equal(more, [])
    assert.equal(found, { kind: 'file', what: 'x', change: 'changed', fields: [{ field, a, b }] })
  })
}
comparing('tells of link targets and devices', () => {
  const link = { type: 'symlink', target: 'a' }
  const [found] = compareFiles(tree({ x: link }), tree({ x: { ...link, target: 'b' } }))
  assert.equal(found!.fields, [{ field: 'link target', a: 'a', b: 'b' }])
  const device = { type: 'character-device', device: '1:3' }
  const [other] = compareFiles(tree({ x: device }), tree({ x: { ...device, device: '1:5' } }))
  assert.equal(other!.fields, [{ field: 'device', a: '1:3', b: '1:5' }])
})
comparing('of another type only that: the rest follows', () => {
  const [found] = compareFiles(tree({ x: {} }), tree({ x: { type: 'directory', mode: '0755' } }))
  assert.equal(found!.fields, [{ field: 'type', a: 'file', b: 'directory' }])
})
comparing('says what was added and removed, in the order of paths', () => {
  const found = compareFiles(tree({ b: {} }), tree({ c: {}, a: { type: 'symlink', target: 'b' } }))
  assert.equal(
    found.map(({ what, change, a, b }) => [what, change, a ?? b]),
    [
      ['a', 'added', 'symlink to b'],
      ['b', 'removed', 'file, 3 bytes, mode 0644, owner 0:0'],
      ['c', 'added', 'file, 3 bytes, mode 0644, owner 0:0'],
    ],
  )
})
comparing('times do not count when told so, all else does', () => {
  const later = { mtime: '1' }
  assert.equal(compareFiles(tree({ x: {} }), tree({ x: later }), { ignoreTimes: true }), [])
  const both = tree({ x: { ...later, mode: '0600' } })
  const [found] = compareFiles(tree({ x: {} }), both, { ignoreTimes: true })
  assert.equal(
    found!.fields!.map(({ field }) => field),
    ['mode'],
  )
})
comparing('shows the lines of texts that are kept', () => {
  const [a, b] = ['one\ntwo\nthree\n', 'one\n2\nthree\n']
  const [found] = compareFiles(
    tree({ 'etc/x': { text: a } }),
    tree({ 'etc/x': { text: b, digest: 'bb' } }),
  )
  assert.is(found!.diff, '--- a/etc/x\n+++ b/etc/x\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three')
  const [binary] = compareFiles(tree({ x: {} }), tree({ x: { digest: 'bb', text: b } }))
  assert.is(binary!.diff, undefined)
})
comparing.run()

const groups = suite('fileGroups()')
groups('puts each file into one, content before mode before time', () => {
  const found = compareFiles(
    tree({ gone: {}, content: {}, mode: {}, time: {}, both: {} }),
    tree({
      ...{ came: {}, content: { digest: 'bb' }, mode: { mode: '0600' }, time: { mtime: '1' } },
      ...{ both: { mode: '0600', mtime: '1' } },
    }),
  )
  assert.equal(
    fileGroups(found).map(({ heading, files }) => [heading, files.map(({ what }) => what).join()]),
    [
      ['only in A', 'gone'],
      ['only in B', 'came'],
      ['with other content', 'content'],
      ['with other mode, owner or attributes', 'both,mode'],
      ['with another time alone', 'time'],
    ],
  )
})
groups.run()

const times = suite('showTime()')
times('keeps fractions, and shows what no calendar has as it is', () => {
  assert.is(showTime('0'), '1970-01-01T00:00:00Z')
  assert.is(showTime('1.000000001'), '1970-01-01T00:00:01.000000001Z')
  assert.is(showTime('99999999999999999'), 'second 99999999999999999')
  assert.is(showTime(''), '1970-01-01T00:00:00Z')
})
times.run()
