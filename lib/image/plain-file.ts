/** A file as it is, in pieces. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { explain } from '../cli/errors.ts'
import type { Report } from '../cli/progress.ts'

/** @param report hears how much was read @throws {BuildError} when it can't be read */
export async function* plainFile(path: string, report?: Report): AsyncGenerator<Buffer> {
  try {
    const input = createReadStream(path, { highWaterMark: 1 << 18 })
    const { size } = await stat(path)
    for await (const piece of input) {
      report?.(input.bytesRead / size)
      yield piece as Buffer
    }
  } catch (error) {
    throw explain(`read "${path}"`, error)
  }
}
