import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Comparison } from '../../lib/compare/compare-images.ts'
import { type Difference, notCompared, type Part, partOf } from '../../lib/compare/difference.ts'
import { describe } from '../../lib/compare/report.ts'

const comparison = (...parts: Part[]): Comparison => ({
  same: parts.every(({ state }) => state !== 'differs'),
  a: { path: 'old/x.raw', format: 'raw', bytes: 10 },
  b: { path: 'x.qcow2', format: 'qcow2', bytes: 2000 },
  parts,
})
const added = (what: string): Difference => ({
  ...{ kind: 'file', what, change: 'added', b: 'file, 1 bytes, mode 0644, owner 0:0' },
})
const changed = (what: string, field: string, a: string, b: string): Difference => ({
  ...{ kind: 'file', what, change: 'changed', fields: [{ field, a, b }] },
})

const report = suite('describe()')
report('the same is said in a line, and a line for each part', () => {
  const text = describe(comparison(partOf('disk', [], '10 bytes'), partOf('files', [], '3 files')))
  assert.is(
    text,
    `A  old/x.raw  raw, 10 bytes
B  x.qcow2    qcow2, 2000 bytes

The same:
  disk   same  10 bytes
  files  same  3 files`,
  )
})
report('what was not compared is no silent success', () => {
  const text = describe(comparison(partOf('disk', [], ''), notCompared('files', 'XFS')))
  assert.match(text, /^The same, as far as they were compared:$/m)
  assert.match(text, /^ {2}files {2}not compared {2}XFS$/m)
})
report('what differs: files first, then fields, then bytes, the last part first', () => {
  const text = describe(
    comparison(
      partOf(
        'disk',
        [{ kind: 'field', what: 'size', change: 'changed', a: '10', b: '11' }],
        '10 bytes',
      ),
      partOf(
        'files',
        [
          {
            kind: 'bytes',
            what: 'the rest',
            change: 'changed',
            ranges: [{ offset: 3, length: 1 }],
          },
          { kind: 'field', what: 'label', change: 'removed', a: 'ESP' },
          changed('etc/x', 'content', '3 bytes, sha256 aa', '3 bytes, sha256 bb'),
          added('bin/y'),
        ],
        '',
      ),
    ),
  )
  assert.is(
    text.split('\n').slice(3).join('\n'),
    `Different, 2 of 2 parts:
  disk   differs  size
  files  differs  1 only in B, 1 with other content, the rest, label

Files
  1 only in B
    bin/y  file, 1 bytes, mode 0644, owner 0:0
  1 with other content
    etc/x  content, 3 bytes each
  label  ESP -> (none)
  the rest, within bytes 3

Disk
  size  10 -> 11`,
  )
})
report('long lists are cut with a count, and whole with --all', () => {
  const many = Array.from({ length: 40 }, (_, i) => added(`f${i}`))
  const ranges = Array.from({ length: 9 }, (_, i) => ({ offset: 10_000 * i, length: 10 }))
  const bytes: Difference = { kind: 'bytes', what: 'gap', change: 'changed', ranges }
  const made = comparison(partOf('files', [...many, bytes], ''))
  const text = describe(made)
  assert.match(text, /^ {2}40 only in B$/m)
  assert.match(text, /^ {4}\.\.\. and 28 more \(--all\)$/m)
  assert.match(text, /within bytes 0-9, 10000-10009, 20000-20009 and at 6 more places \(--all\)$/m)
  const all = describe(made, { all: true })
  for (let i = 0; i < 40; i++) assert.match(all, new RegExp(`^    f${i}  file`, 'm'))
  assert.match(all, /80000-80009$/m)
  assert.not.match(all, /--all/)
})
report(
  'what is below a directory that one side lacks is counted; one that both have is not',
  () => {
    const below = ['doc', 'doc/a', 'doc/b', 'doc/b/c', 'docs'].map(added)
    const times = ['var', 'var/x'].map((what) => changed(what, 'mtime', '1', '2'))
    const text = describe(comparison(partOf('files', [...below, ...times], '')))
    assert.match(text, /^ {4}doc\/ {2}and 3 below$/m)
    assert.match(text, /^ {4}docs {2}file, /m)
    assert.match(text, /^ {4}var\/x {2}mtime 1 -> 2$/m)
    assert.match(
      describe(comparison(partOf('files', below, '')), { all: true }),
      /^ {4}doc\/b\/c /m,
    )
  },
)
report('what a terminal would obey is shown, not sent', () => {
  const diff = '-a\tb\r\n+\x1b[2J'
  const one = { ...changed('x\n\x1b]0;y\x07', 'mode', '1', '2'), diff }
  const text = describe(comparison(partOf('files', [one, added('\x9b31m')], '\x1b')))
  assert.not.match(text, /[\x00-\x08\x0b-\x1f\x7f-\x9f]/)
  assert.match(text, /^ {4}x\\x0a\\x1b\]0;y\\x07 {2}mode 1 -> 2$/m)
  assert.match(text, /^ {6}-a\tb\\x0d$/m)
})
report('a long diff is cut', () => {
  const diff = Array.from({ length: 30 }, (_, i) => `+${i}`).join('\n')
  const one = { ...changed('x', 'content', '1 bytes, sha256 a', '2 bytes, sha256 b'), diff }
  const made = comparison(partOf('files', [one], ''))
  assert.match(describe(made), /^ {6}\+23\n {6}\.\.\. and 6 more \(--all\)$/m)
  assert.match(describe(made, { all: true }), /^ {6}\+29$/m)
})
report('a diff stands below its file', () => {
  const one = {
    ...changed('x', 'content', '1 bytes, sha256 a', '2 bytes, sha256 b'),
    diff: '-a\n+b',
  }
  const text = describe(comparison(partOf('files', [one], '')))
  assert.match(text, /^ {4}x {2}content 1 bytes -> 2 bytes\n {6}-a\n {6}\+b$/m)
})
report.run()
