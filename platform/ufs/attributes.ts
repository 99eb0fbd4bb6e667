/** Mode, owner and time of files, as an edit gives them. */
import { BuildError } from '../../lib/cli/errors.ts'
import type { Volume } from './group.ts'
import type { Inode, Time } from './inode.ts'

export type Attributes = { mode?: number; uid?: number; gid?: number; mtimeSeconds?: number }

const MOST_ID = 2 ** 31 - 1

/** @throws {BuildError} for numbers that an inode can't hold */
export function checkAttributes(action: string, attributes: Attributes): void {
  const { mode, uid, gid, mtimeSeconds } = attributes
  const within = (name: string, value: number | undefined, least: number, most: number) => {
    if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) return
    throw new BuildError(`Cannot ${action}: ${name} is ${value}, not from ${least} to ${most}`)
  }
  within('mode', mode, 0, 0o7777)
  within('uid', uid, 0, MOST_ID)
  within('gid', gid, 0, MOST_ID)
  within('time', mtimeSeconds, -(2 ** 31), 2 ** 31 - 1)
}

export const nowOf = (volume: Volume): Time => ({ seconds: volume.nowSeconds, microseconds: 0 })

/** Set what is given; the inode counts as changed either way. */
export function applyAttributes(volume: Volume, inode: Inode, attributes: Attributes): void {
  const { mode, uid, gid, mtimeSeconds } = attributes
  if (mode !== undefined) inode.mode = (inode.mode & 0xf000) | mode
  if (uid !== undefined) inode.uid = uid
  if (gid !== undefined) inode.gid = gid
  if (mtimeSeconds !== undefined) inode.modified = { seconds: mtimeSeconds, microseconds: 0 }
  inode.changed = nowOf(volume)
}

/** Files with parts that an edit would leave behind or make wrong. @throws {BuildError} for them */
export function refuseSpecial(action: string, path: string, inode: Inode): void {
  const what = inode.acl ? 'an access control list' : inode.attributes && 'extended attributes'
  if (!what) return
  throw new BuildError(`Cannot ${action} "${path}" in the image: it has ${what}`, {
    hint: 'That is not supported',
  })
}
