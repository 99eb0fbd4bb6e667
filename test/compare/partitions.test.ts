import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parseTable, regionsOf } from '../../lib/compare/partitions.ts'
import { Random } from '../random.ts'

const MIB = 1024 ** 2
type Row = { node: string; start: number; size: number; type: string; [other: string]: unknown }
const tableOf = (label: string, partitions: Row[], others: object = {}) =>
  parseTable(JSON.stringify({ partitiontable: { label, unit: 'sectors', ...others, partitions } }))
const BIOS = '21686148-6449-6E6F-744E-656564454649'
const ESP = 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B'
const LINUX = '0FC63DAF-8483-4772-8E79-3D69D8477DE4'
const gpt = [
  { node: '/x/disk.raw1', start: 2048, size: 2048, type: BIOS, uuid: 'AA', name: 'bios' },
  { node: '/x/disk.raw2', start: 4096, size: 4096, type: ESP, uuid: 'BB' },
  { node: '/x/disk.raw3', start: 8192, size: 8192, type: LINUX, uuid: 'CC', attrs: 'GUID:63' },
]

const table = suite('parseTable()')
table('says all that the table has, bytes for sectors', () => {
  const { label, facts, partitions } = tableOf('gpt', gpt, { id: 'DD', firstlba: 2048 })
  const values = new Map(facts)
  assert.is(label, 'gpt')
  assert.is(values.get('disk id'), 'DD')
  assert.is(values.get('first usable sector'), '2048')
  assert.is(values.get('partition 1 name'), 'bios')
  assert.is(values.get('partition 2 begins at'), 'byte 2097152')
  assert.is(values.get('partition 3 size'), '4194304 bytes')
  assert.is(values.get('partition 3 attrs'), 'GUID:63')
  assert.equal(
    partitions.map(({ number }) => number),
    [1, 2, 3],
  )
})
table('knows sectors of another size, and a table without partitions', () => {
  const { partitions } = tableOf('gpt', gpt, { sectorsize: 4096 })
  assert.is(partitions[0]!.offset, 2048 * 4096)
  assert.equal(parseTable('{"partitiontable":{"label":"dos"}}').partitions, [])
})
table.run()

const regions = suite('regionsOf()')
regions('names what is on a GPT disk, boot code by its type', () => {
  const found = regionsOf(tableOf('gpt', gpt), 16 * MIB)
  assert.equal(
    found.map(({ name, kind }) => `${name}: ${kind}`),
    [
      'MBR boot code: boot code',
      'MBR: table',
      'GPT: table',
      'gap behind GPT: gap',
      'BIOS boot partition 1: boot code',
      'partition 2: esp',
      'partition 3: partition',
      'gap behind partition 3: gap',
      'backup GPT: table',
    ],
  )
})
regions('takes what is behind an MBR for boot code, and an extended partition for a gap', () => {
  const found = regionsOf(
    tableOf('dos', [
      { node: '/x/d1', start: 2048, size: 2048, type: '83', bootable: true },
      { node: '/x/d2', start: 4096, size: 8192, type: '5' },
      { node: '/x/d5', start: 6144, size: 2048, type: '83' },
    ]),
    16 * MIB,
  )
  assert.equal(
    found.map(({ name, kind }) => `${name}: ${kind}`),
    [
      'MBR boot code: boot code',
      'MBR: table',
      'gap behind the MBR: boot code',
      'partition 1: partition',
      'gap behind partition 1: gap',
      'partition 5: partition',
      'gap behind partition 5: gap',
    ],
  )
})
regions('a disk without a table is one region', () => {
  const none = { label: undefined, facts: [], partitions: [] }
  assert.equal(regionsOf(none, 77), [{ name: 'disk', kind: 'partition', offset: 0, length: 77 }])
})
regions('cover every byte once, whatever a table says, each with a name of its own', () => {
  const random = new Random(5)
  for (let n = 0; n < 300; n++) {
    const bytes = (40 + random.below(20_000)) * 512
    const rows = Array.from({ length: random.below(6) }, (_, i) => ({
      ...{ node: `/x/disk${i + 1}`, start: random.below(30_000), size: random.below(20_000) },
      type: [BIOS, ESP, LINUX, '5', '83'][random.below(5)]!,
    }))
    const found = regionsOf(tableOf(random.below(2) ? 'gpt' : 'dos', rows), bytes)
    let at = 0
    for (const { offset, length, name } of found) {
      assert.is(offset, at, name)
      assert.ok(length > 0, name)
      at += length
    }
    assert.is(at, bytes)
    assert.is(new Set(found.map(({ name }) => name)).size, found.length)
  }
})
regions.run()
