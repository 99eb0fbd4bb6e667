/**
 * A disk's partition table as facts, and the disk as regions that belong to something: boot code, tables,
 * partitions, and what lies between them.
 *
 * Source: UEFI specification, "GPT disk layout"; util-linux, sfdisk --json; GRUB manual, "BIOS installation".
 */
import { $ } from '../cli/run.ts'
import { SECTOR } from '../disk/layout.ts'
import type { Range } from './byte-ranges.ts'
import type { Fact } from './difference.ts'

export type TablePartition = Range & { number: number; type: string; facts: Fact[] }

export type Table = {
  /** `gpt` or `dos`; undefined: the disk has none. */
  label: string | undefined
  facts: Fact[]
  partitions: TablePartition[]
}

/** A part of the disk with a name by which its counterpart is found. */
export type Region = Range & { name: string; kind: RegionKind }
export type RegionKind = 'boot code' | 'table' | 'esp' | 'partition' | 'gap'

const ESP_TYPES = ['C12A7328-F81F-11D2-BA4B-00A0C93EC93B', 'ef']
const BIOS_BOOT_TYPE = '21686148-6449-6E6F-744E-656564454649'
const MBR_CODE = 440
/** Header and entries at the beginning of a disk, and again at its end. */
const GPT_SECTORS = 33

export const isEsp = ({ type }: TablePartition) => ESP_TYPES.includes(type)

/** Read it; a disk that has none, or one that is damaged beyond sfdisk's understanding, has no partitions. */
export async function readTable(disk: string): Promise<Table> {
  const { stdout, exitCode } = await $({ nothrow: true })`sfdisk --json ${disk}`
  return exitCode === 0 ? parseTable(stdout) : { label: undefined, facts: [], partitions: [] }
}

/** From what `sfdisk --json` prints. */
export function parseTable(json: string): Table {
  const { partitiontable } = JSON.parse(json) as {
    partitiontable: Record<string, unknown> & {
      partitions?: Record<string, string | number | boolean>[]
    }
  }
  const { label, id, partitions: rows = [] } = partitiontable
  const sectorBytes = Number(partitiontable['sectorsize'] ?? SECTOR)
  const partitions = rows.map((row) => {
    const { node, start, size, type, ...others } = row
    const number = Number(/\d+$/.exec(String(node))?.[0])
    const name = `partition ${number}`
    const offset = Number(start) * sectorBytes
    const length = Number(size) * sectorBytes
    const facts: Fact[] = [
      [`${name} size`, `${length} bytes`],
      [`${name} begins at`, `byte ${offset}`],
      [`${name} type`, String(type)],
      // Its id, name, attributes, whether it is the active one.
      ...Object.entries(others).map(([key, value]): Fact => [`${name} ${key}`, String(value)]),
    ]
    return { number, offset, length, type: String(type), facts }
  })
  const own: Fact[] = [
    ['label', String(label)],
    ['disk id', String(id ?? 'none')],
    ['first usable sector', String(partitiontable['firstlba'] ?? 'none')],
    ['last usable sector', String(partitiontable['lastlba'] ?? 'none')],
    ['sector size', String(sectorBytes)],
    ['partitions', partitions.map(({ number }) => number).join(', ') || 'none'],
  ]
  return {
    label: String(label),
    facts: [...own, ...partitions.flatMap((p) => p.facts)],
    partitions,
  }
}

/** All of a disk, without overlaps, ascending. A logical partition's container is part of a gap. */
export function regionsOf(table: Table, diskBytes: number): Region[] {
  if (table.label === undefined) {
    return [{ name: 'disk', kind: 'partition', offset: 0, length: diskBytes }]
  }
  const gpt = table.label === 'gpt'
  const known: Region[] = [
    { name: 'MBR boot code', kind: 'boot code', offset: 0, length: MBR_CODE },
    { name: 'MBR', kind: 'table', offset: MBR_CODE, length: SECTOR - MBR_CODE },
    ...(gpt ? gptRegions(diskBytes) : []),
    ...table.partitions.filter(isOutermost).map((partition) => regionOf(partition)),
  ]
  known.sort((a, b) => a.offset - b.offset)
  const all: Region[] = []
  let at = 0
  for (const region of known) {
    // A table that lies may have partitions that overlap, or end behind the disk.
    const offset = Math.min(Math.max(region.offset, at), diskBytes)
    const end = Math.min(region.offset + region.length, diskBytes)
    if (offset >= end) continue
    if (offset > at) all.push(gap(at, offset, all.at(-1)?.name, gpt))
    all.push({ ...region, offset, length: end - offset })
    at = end
  }
  if (at < diskBytes) all.push(gap(at, diskBytes, all.at(-1)?.name, gpt))
  return all
}

const isOutermost = ({ type }: TablePartition) => !['5', 'f', '85'].includes(type)

function gptRegions(diskBytes: number): Region[] {
  const length = GPT_SECTORS * SECTOR
  return [
    { name: 'GPT', kind: 'table', offset: SECTOR, length },
    { name: 'backup GPT', kind: 'table', offset: diskBytes - length, length },
  ]
}

function regionOf(partition: TablePartition): Region {
  const { number, offset, length, type } = partition
  const boots = type === BIOS_BOOT_TYPE
  return {
    name: boots ? `BIOS boot partition ${number}` : `partition ${number}`,
    kind: boots ? 'boot code' : isEsp(partition) ? 'esp' : 'partition',
    ...{ offset, length },
  }
}

/** Between partitions; of a disk with an MBR what is before the first, where GRUB puts its core, is boot code. */
function gap(from: number, to: number, before: string | undefined, gpt: boolean): Region {
  const place = { offset: from, length: to - from }
  if (!gpt && before === 'MBR') return { name: 'gap behind the MBR', kind: 'boot code', ...place }
  return { name: `gap behind ${before ?? 'nothing'}`, kind: 'gap', ...place }
}
