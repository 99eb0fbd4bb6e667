/**
 * Which process has which slot: files named `build3.4711` in a directory that is emptied by a reboot, as the
 * links are. A process that wants a slot makes its file first and the vnic then, so that a vnic that a build
 * made always has the file of its owner; beside it may be one of a process that is about to find out that
 * the slot is taken. Who it is is in the name, so that a dead one's file can be renamed by one process only.
 */
import { readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode, explain } from '../../cli/errors.ts'
import { act } from '../../cli/run.ts'
import { RUN_DIR } from './files.ts'

const SLOTS_DIR = join(RUN_DIR, 'slots')

export type Owner = { vnic: string; pid: number; alive: boolean }

const fileOf = (vnic: string, pid: number) => join(SLOTS_DIR, `${vnic}.${pid}`)

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errorCode(error) !== 'ESRCH' // another user's is alive too
  }
}

export async function readOwners(): Promise<Owner[]> {
  const names = await readdir(SLOTS_DIR).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return []
    throw explain(`read ${SLOTS_DIR}`, error)
  })
  return names.sort().flatMap((name) => {
    const [, vnic, digits] = /^(build\d+)\.(\d+)$/.exec(name) ?? []
    if (vnic === undefined) return []
    const pid = Number(digits)
    return [{ vnic, pid, alive: isAlive(pid) }]
  })
}

/** This process wants a slot, or has it. */
export async function noteOwner(vnic: string): Promise<void> {
  const file = fileOf(vnic, process.pid)
  await act(`write ${file}`, () => writeFile(file, ''))
}

export const forgetOwner = (vnic: string, pid = process.pid) =>
  rm(fileOf(vnic, pid), { force: true })

/** Become the heir of a dead process. False: another one was faster, or it was another user's. */
export async function inherit({ vnic, pid }: Owner): Promise<boolean> {
  return rename(fileOf(vnic, pid), fileOf(vnic, process.pid)).then(
    () => true,
    (error: unknown) => {
      if (['ENOENT', 'EACCES', 'EPERM'].includes(errorCode(error) ?? '')) return false
      throw explain(`take back ${vnic} from process ${pid}`, error)
    },
  )
}

/** The slot is the dead one's again: something of it is still in use. */
export async function giveBack({ vnic, pid }: Owner): Promise<void> {
  await rename(fileOf(vnic, process.pid), fileOf(vnic, pid))
}
