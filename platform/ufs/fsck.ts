/**
 * A check of a whole image, made to distrust the editor: everything is counted again from the inodes,
 * by the plainest way, with none of the editor's code but the superblock's parser.
 *
 * Findings are lines of text in the words of the format's source, as they are for us. A good image
 * has none. Source: illumos, sys/fs/ufs_fs.h, ufs_inode.h, ufs_fsdir.h.
 */
import { closeSync, fstatSync } from 'node:fs'
import { checkGroups } from './fsck-groups.ts'
import { checkInodes } from './fsck-inodes.ts'
import { checkTree } from './fsck-tree.ts'
import { openImage, readFully } from './pages.ts'
import { cleanState, parseSuperblock, type Superblock } from './superblock.ts'

/** An inode in use, as far as the check needs it. */
export type Found = {
  mode: number
  links: number
  size: number
  acl: number
  /** For directories: the addresses of their blocks, with lengths in bytes. */
  blocks: { at: number; bytes: number }[]
}

export type Check = {
  superblock: Superblock
  read(offset: number, length: number): Buffer
  report(finding: string): void
  /** Inode that owns each fragment; 0: nobody, -1: the file system itself. */
  owners: Int32Array
  inodes: Map<number, Found>
}

/** A badly damaged image has a finding for each fragment. */
const MOST_FINDINGS = 200

/**
 * What is wrong with an image.
 *
 * @throws {BuildError} when it is no image that we understand, so that nothing can be checked
 */
export function fsck(path: string): string[] {
  const fd = openImage(path, 'r')
  try {
    const bytes = fstatSync(fd).size
    const read = (offset: number, length: number) => readFully(fd, path, offset, length)
    const superblock = parseSuperblock(read(0, Math.min(bytes, 73728)), bytes, path)
    const findings: string[] = []
    const report = (finding: string) => {
      if (findings.length < MOST_FINDINGS) findings.push(finding)
    }
    const owners = new Int32Array(superblock.fragments)
    const check = { superblock, read, report, owners, inodes: new Map<number, Found>() }
    checkState(check)
    claimTables(check)
    checkInodes(check)
    checkTree(check)
    checkGroups(check)
    return findings
  } finally {
    closeSync(fd)
  }
}

function checkState({ superblock: s, report }: Check): void {
  if (s.clean !== 1 && s.clean !== 2) report(`fs_clean is ${s.clean}`)
  if (s.state !== cleanState(s.timeSeconds)) report('fs_state does not go with fs_time')
  if (s.summaryState !== 0) report(`fs_si is ${s.summaryState}`)
}

/** What belongs to no file: boot blocks, superblocks, headers, inodes, the summary. */
function claimTables({ superblock: s, owners }: Check): void {
  for (let group = 0; group < s.groups; group++) {
    const start = group * s.fragmentsPerGroup + s.shift * (group & ~s.mask)
    owners.fill(-1, group === 0 ? 0 : start + s.superblockCopyAt, start + s.dataAt)
  }
  owners.fill(-1, s.summaryAt, s.summaryAt + s.summaryBytes / s.fragmentBytes)
}
