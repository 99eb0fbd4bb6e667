/** Logs of machines, where somebody may look at them. */
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { redact } from '../cli/redact.ts'
import { act } from '../cli/run.ts'

/** A console's text, without what addresses hold of passwords. */
export async function copyLog(from: string, to: string): Promise<void> {
  await act(`write ${to}`, async () => {
    const partial = `${to}.${process.pid}.partial`
    try {
      await writeFile(partial, redact(await readFile(from, 'latin1')), 'latin1')
      await rename(partial, to)
    } finally {
      await rm(partial, { force: true })
    }
  })
}
