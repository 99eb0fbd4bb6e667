/** Nothing is published that has not passed its test, unless the operator says so. */
import { BuildError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import { readManifest } from '../image/read-manifest.ts'
import { readTestRecord, testRecordPath } from '../image/test-record.ts'
import type { Publication } from './publisher.ts'

/** What speaks against publishing, and what is to be done; undefined: it has passed. */
async function objection({
  manifest,
  image,
}: Publication): Promise<{ what: string; then: string } | undefined> {
  if (!manifest) {
    return {
      what: 'test-image tests images with a manifest only, so that nothing is known of this one',
      then: 'Have it tested by its own means, then say --untested',
    }
  }
  const then = `Test it: ./bin/test-image ${manifest.path} (or say --untested)`
  const record = await readTestRecord(manifest.path)
  if (!record)
    return { what: `it was not tested: there is no ${testRecordPath(manifest.path)}`, then }
  if (record.sha1 !== image.sha1) {
    return {
      what: `what was tested is another file, with sha1 ${record.sha1}, not ${image.sha1}`,
      then,
    }
  }
  const failed = record.runs.flatMap((run) =>
    run.ok ? [] : [`${run.failed.join(', ') || 'a check'} (${run.firmware}, ${run.at})`],
  )
  if (failed.length > 0 || !record.ok) {
    return { what: `it failed its test: ${failed.join('; ') || 'see its report'}`, then }
  }
  const { firmware } = await readManifest(manifest.path)
  const missing = (firmware ? [firmware] : (['bios', 'uefi'] as const)).filter(
    (one) => !record.runs.some((run) => run.firmware === one),
  )
  if (missing.length === 0) return undefined
  return { what: `it was not tested from ${missing.join(' and ')}`, then }
}

/**
 * Has the image passed `test-image`? With `untested` a missing or failed test is a warning.
 *
 * @throws {BuildError} when not
 */
export async function checkTested(publication: Publication, untested: boolean): Promise<void> {
  const found = await objection(publication)
  if (!found) return
  const { path } = publication.image
  if (untested) log.warn(`Publishing "${path}" untested: ${found.what}`)
  else throw new BuildError(`Cannot publish "${path}": ${found.what}`, { hint: found.then })
}
