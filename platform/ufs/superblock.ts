/**
 * The superblock of UFS1 as Solaris on x86 has it ("sunx86"), 8192 bytes into the image.
 *
 * Numbers are little-endian, 32 bits each where not said otherwise. Addresses and areas are counted in
 * fragments. Everything that decides where things are is checked here, so that the other modules can
 * calculate without asking. Source: illumos, usr/src/uts/common/sys/fs/ufs_fs.h.
 */
import { BuildError } from '../../lib/cli/errors.ts'

export const SUPERBLOCK_AT = 8192
/** All of it that has fields; `fs_sbsize` is larger. */
export const SUPERBLOCK_BYTES = 1376
export const INODE_BYTES = 128
export const ROOT_INODE = 2

/** Places of the fields that an edit changes. */
export const TIME_AT = 32
export const STATE_AT = 132
export const TOTALS_AT = 192
export const MODIFIED_AT = 208

const MAGIC = 0x00011954
const MAGIC_UFS2 = 0x19540119
const MAGIC_MULTI_TERABYTE = 0x00decade
const MAGIC_AT = 1372
/** `fs_state` and `fs_time` of a clean file system add up to this. */
const OKAY = 0x7c269d38

export type Superblock = {
  blockBytes: number
  fragmentBytes: number
  fragmentsPerBlock: number
  /** Size of the file system. */
  fragments: number
  groups: number
  fragmentsPerGroup: number
  inodesPerGroup: number
  /** Where a group's parts begin, from the group's start. */
  superblockCopyAt: number
  headerAt: number
  inodesAt: number
  dataAt: number
  /** A group's start is moved by `shift` times the bits of its number that `mask` lacks. */
  shift: number
  mask: number
  headerBytes: number
  /** Fragment at which the counts of all groups are kept. */
  summaryAt: number
  summaryBytes: number
  pointersPerBlock: number
  inodesPerBlock: number
  sectorsPerFragment: number
  sectorsPerTrack: number
  sectorsPerCylinder: number
  cylindersPerGroup: number
  rotationalPositions: number
  timeSeconds: number
  /** 1: unmounted, 2: stable; all others are not clean. */
  clean: number
  state: number
  /** Of the groups' counts: other than 0 means that they are out of date. */
  summaryState: number
}

/** `fs_state` that says "clean" together with this time. */
export const cleanState = (timeSeconds: number) => (OKAY - timeSeconds) >>> 0

function refuse(path: string, found: string, hint?: string): never {
  throw new BuildError(`Cannot read "${path}" as UFS image: ${found}`, { hint })
}

/** @throws {BuildError} unless the magic number is that of little-endian UFS1 */
function checkMagic(head: Buffer, path: string): void {
  const magicAt = SUPERBLOCK_AT + MAGIC_AT
  if (head.length >= 2 && head.readUInt16BE(0) === 0x1f8b) {
    refuse(path, 'it is compressed with gzip', 'Decompress it: gzip -dc')
  }
  if (head.length < magicAt + 4) refuse(path, `it has only ${head.length} bytes`)
  const magic = head.readUInt32LE(magicAt)
  if (magic === MAGIC) return
  if (head.readUInt32BE(magicAt) === MAGIC) refuse(path, 'it is big-endian, as SPARC has it')
  if (magic === MAGIC_MULTI_TERABYTE) refuse(path, 'it is a multi-terabyte UFS')
  const ufs2 = head.length >= 65536 + MAGIC_AT + 4 && head.readUInt32LE(65536 + MAGIC_AT)
  if (magic === MAGIC_UFS2 || ufs2 === MAGIC_UFS2) refuse(path, 'it is UFS2')
  refuse(path, `the magic number is 0x${magic.toString(16)} instead of 0x${MAGIC.toString(16)}`)
}

/**
 * The superblock in the first 16 KiB of an image of `imageBytes`.
 *
 * @throws {BuildError} for other file systems, a log, and values that can't be
 */
export function parseSuperblock(head: Buffer, imageBytes: number, path: string): Superblock {
  checkMagic(head, path)
  const at = (offset: number) => head.readInt32LE(SUPERBLOCK_AT + offset)
  const superblock: Superblock = {
    superblockCopyAt: at(8),
    headerAt: at(12),
    inodesAt: at(16),
    dataAt: at(20),
    shift: at(24),
    mask: at(28),
    timeSeconds: at(TIME_AT),
    fragments: at(36),
    groups: at(44),
    blockBytes: at(48),
    fragmentBytes: at(52),
    fragmentsPerBlock: at(56),
    pointersPerBlock: at(116),
    inodesPerBlock: at(120),
    sectorsPerFragment: at(124),
    state: at(STATE_AT) >>> 0,
    summaryState: at(136),
    summaryAt: at(152),
    summaryBytes: at(156),
    headerBytes: at(160),
    sectorsPerTrack: at(168),
    sectorsPerCylinder: at(172),
    cylindersPerGroup: at(180),
    inodesPerGroup: at(184),
    fragmentsPerGroup: at(188),
    rotationalPositions: at(1360),
    clean: head[SUPERBLOCK_AT + 209]!,
  }
  checkFlavour(at, superblock, path)
  const complaint = firstWrong(superblock, at)
  if (complaint) refuse(path, complaint, 'The superblock is damaged, or not of a SmartOS archive')
  const needed = superblock.fragments * superblock.fragmentBytes
  if (imageBytes < needed) {
    refuse(path, `it is truncated: ${imageBytes} bytes of ${needed}`, 'Fetch the platform again')
  }
  return superblock
}

/** Kinds of UFS that share the magic number and are not what we can edit. */
function checkFlavour(at: (offset: number) => number, superblock: Superblock, path: string): void {
  const version = at(1320)
  if (version !== 0 && version !== 2) {
    refuse(path, `fs_version is ${version}: 4.4BSD and other relatives are not supported`)
  }
  const hint = 'Mount it once with "-o nologging" on SmartOS'
  if (at(1324) !== 0) refuse(path, `it has a log (fs_logbno is ${at(1324)})`, hint)
  if (superblock.clean === 0xfd) refuse(path, 'it is logging (fs_clean is 0xfd)', hint)
  if (at(4) === 2) refuse(path, 'its log is to be rolled (fs_rolled is 2)', hint)
  if (at(1356) !== 1) refuse(path, `fs_postblformat is ${at(1356)}, only 1 is supported`)
}

/** What is wrong with the numbers, or undefined. The order matters: later rows rely on earlier ones. */
function firstWrong(s: Superblock, at: (offset: number) => number): string | undefined {
  const group0 = s.superblockCopyAt * s.fragmentBytes
  const rules: [name: string, value: number, () => boolean][] = [
    ['fs_bsize', s.blockBytes, () => s.blockBytes === 4096 || s.blockBytes === 8192],
    ['fs_fsize', s.fragmentBytes, () => [512, 1024, 2048, 4096, 8192].includes(s.fragmentBytes)],
    ['fs_frag', s.fragmentsPerBlock, () => s.fragmentsPerBlock === s.blockBytes / s.fragmentBytes],
    ['fs_frag', s.fragmentsPerBlock, () => [1, 2, 4, 8].includes(s.fragmentsPerBlock)],
    ['fs_bmask', at(72), () => at(72) === -s.blockBytes],
    ['fs_fmask', at(76), () => at(76) === -s.fragmentBytes],
    ['fs_bshift', at(80), () => 2 ** at(80) === s.blockBytes],
    ['fs_fshift', at(84), () => 2 ** at(84) === s.fragmentBytes],
    ['fs_fragshift', at(96), () => 2 ** at(96) === s.fragmentsPerBlock],
    ['fs_sbsize', at(104), () => at(104) >= SUPERBLOCK_BYTES && at(104) <= 8192],
    ['fs_sbsize', at(104), () => at(104) % 512 === 0],
    ['fs_nindir', s.pointersPerBlock, () => s.pointersPerBlock === s.blockBytes / 4],
    ['fs_inopb', s.inodesPerBlock, () => s.inodesPerBlock === s.blockBytes / INODE_BYTES],
    ['fs_nspf', s.sectorsPerFragment, () => s.sectorsPerFragment === s.fragmentBytes / 512],
    ['fs_fpg', s.fragmentsPerGroup, () => s.fragmentsPerGroup > 0],
    ['fs_fpg', s.fragmentsPerGroup, () => s.fragmentsPerGroup % s.fragmentsPerBlock === 0],
    ['fs_ipg', s.inodesPerGroup, () => s.inodesPerGroup > 0 && s.inodesPerGroup < 32768],
    ['fs_ipg', s.inodesPerGroup, () => s.inodesPerGroup % s.inodesPerBlock === 0],
    ['fs_ncg', s.groups, () => s.groups > 0],
    ['fs_size', s.fragments, () => s.fragments > (s.groups - 1) * s.fragmentsPerGroup],
    ['fs_size', s.fragments, () => s.fragments <= s.groups * s.fragmentsPerGroup],
    ['fs_sblkno', s.superblockCopyAt, () => group0 >= SUPERBLOCK_AT + at(104)],
    ['fs_cblkno', s.headerAt, () => s.headerAt * s.fragmentBytes >= group0 + at(104)],
    ['fs_cblkno', s.headerAt, () => s.headerAt % s.fragmentsPerBlock === 0],
    ['fs_cgsize', s.headerBytes, () => s.headerBytes >= 168 && s.headerBytes <= s.blockBytes],
    ['fs_iblkno', s.inodesAt, () => s.inodesAt >= s.headerAt + s.headerBytes / s.fragmentBytes],
    ['fs_iblkno', s.inodesAt, () => s.inodesAt % s.fragmentsPerBlock === 0],
    ['fs_dblkno', s.dataAt, () => s.dataAt === s.inodesAt + inodeFragments(s)],
    ['fs_cgoffset', s.shift, () => s.shift >= 0 && s.shift % s.fragmentsPerBlock === 0],
    ['fs_cgmask', s.mask, () => shiftsFit(s)],
    ['fs_csaddr', s.summaryAt, () => s.summaryAt === s.dataAt],
    ['fs_cssize', s.summaryBytes, () => s.summaryBytes >= s.groups * 16],
    ['fs_cssize', s.summaryBytes, () => s.summaryBytes % s.fragmentBytes === 0],
    ['fs_cssize', s.summaryBytes, () => summaryEnd(s) <= groupFragments(s, 0)],
    ['fs_nsect', s.sectorsPerTrack, () => s.sectorsPerTrack > 0],
    ['fs_spc', s.sectorsPerCylinder, () => s.sectorsPerCylinder > 0],
    ['fs_cpg', s.cylindersPerGroup, () => s.cylindersPerGroup > 0],
    [
      'fs_cpg',
      s.cylindersPerGroup,
      () => s.cylindersPerGroup * s.sectorsPerCylinder === sectors(s),
    ],
    ['fs_nrpos', s.rotationalPositions, () => s.rotationalPositions > 0],
    ['fs_nrpos', s.rotationalPositions, () => s.rotationalPositions <= 1024],
  ]
  const wrong = rules.find(([, , holds]) => !holds())
  return wrong && `${wrong[0]} is ${wrong[1]}, which cannot be`
}

const inodeFragments = (s: Superblock) =>
  (s.inodesPerGroup / s.inodesPerBlock) * s.fragmentsPerBlock
const summaryEnd = (s: Superblock) => s.summaryAt + s.summaryBytes / s.fragmentBytes
const sectors = (s: Superblock) => s.fragmentsPerGroup * s.sectorsPerFragment
const groupFragments = (s: Superblock, group: number) =>
  Math.min(s.fragmentsPerGroup, s.fragments - group * s.fragmentsPerGroup)

/** Every group has to have room for its own headers and inodes. */
function shiftsFit(s: Superblock): boolean {
  for (let group = 0; group < s.groups; group++) {
    const start = s.shift * (group & ~s.mask)
    if (start < 0 || start + s.dataAt > groupFragments(s, group)) return false
  }
  return true
}
