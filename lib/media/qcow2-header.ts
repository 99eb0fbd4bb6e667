/**
 * What a qcow2 file says of other files: one that it stands on, and one that has its data. An image of somebody
 * else may name any file of this machine there, and whoever converts it gets that file into his image. So it is
 * looked at before qemu-img opens it.
 *
 * Source: QEMU, docs/interop/qcow2.txt, "Header".
 */
import { open } from 'node:fs/promises'
import { BuildError, explain } from '../cli/errors.ts'

const MAGIC = Buffer.from('QFI\xfb', 'latin1')
/** Bit of the features that a reader has to know. */
const EXTERNAL_DATA = 1 << 2

/** @throws {BuildError} for a qcow2 that is not whole by itself; other files are not looked at */
export async function checkStandsAlone(path: string): Promise<void> {
  const head = Buffer.alloc(104)
  try {
    const file = await open(path)
    try {
      await file.read(head, 0, head.length, 0)
    } finally {
      await file.close()
    }
  } catch (error) {
    throw explain(`read "${path}"`, error)
  }
  if (!head.subarray(0, 4).equals(MAGIC)) return
  const version = head.readUInt32BE(4)
  const backing = head.readBigUInt64BE(8) !== 0n
  // From version 3 on; the field's lower half is the second.
  const external = version >= 3 && (head.readUInt32BE(76) & EXTERNAL_DATA) !== 0
  if (!backing && !external) return
  const what = backing ? 'stands on another file' : 'has its data in another file'
  throw new BuildError(`Cannot use "${path}": it ${what}, which may be any of this machine`, {
    hint: `Where you trust it, make it whole: qemu-img convert -O qcow2 ${path} WHOLE.qcow2`,
  })
}
