/**
 * What test-image found, for publish-image: `<name>.test.json` beside the manifest says which file, by its digest,
 * was booted from which firmware, when, and how that went.
 *
 * Written when the machines have run to their end, however that was: a failed test replaces a good one, and one that
 * was cut off leaves what is known. Tests of the same file from one firmware each add up; a test of another
 * file begins anew.
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { explain } from '../cli/errors.ts'
import type { FirmwareName } from '../triton/boot-phases.ts'
import { type ImageTest, reportBase } from './test-image.ts'

export type TestRun = {
  firmware: FirmwareName
  hardware: string
  ok: boolean
  /** Names of the checks that failed, or were not reached. */
  failed: readonly string[]
  /** `2026-05-08T12:00:00.000Z` */
  at: string
}

export type TestRecord = { sha1: string; ok: boolean; runs: readonly TestRun[] }

/** Where the record of an image is. */
export const testRecordPath = (manifest: string) => `${reportBase(manifest, undefined)}.test.json`

/** Read a record. Undefined: there is none, or it is damaged, which is as good. */
export async function readTestRecord(manifest: string): Promise<TestRecord | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(testRecordPath(manifest), 'utf8'))
    return isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is TestRecord {
  const { sha1, ok, runs } = (value ?? {}) as Partial<TestRecord>
  if (typeof sha1 !== 'string' || typeof ok !== 'boolean' || !Array.isArray(runs)) return false
  return runs.every((run: Partial<TestRun> | null) => {
    const { firmware, hardware, ok: good, failed, at } = run ?? {}
    return (
      (firmware === 'bios' || firmware === 'uefi') &&
      typeof hardware === 'string' &&
      typeof good === 'boolean' &&
      Array.isArray(failed) &&
      failed.every((name) => typeof name === 'string') &&
      typeof at === 'string' &&
      !Number.isNaN(Date.parse(at))
    )
  })
}

/**
 * Note a test.
 *
 * @returns the record's path
 * @throws {BuildError} when it can't be written
 */
export async function recordTest(test: ImageTest, manifest: string): Promise<string> {
  const { sha1 } = test.image.file
  const runs = test.runs.flatMap(({ results }): TestRun[] => {
    const firmware = results[0]?.firmware
    if (firmware === undefined) return []
    const failed = results.filter(({ status }) => status !== 'ok').map(({ name }) => name)
    const at = test.startedAt.toISOString()
    return [{ firmware, hardware: test.hardware, ok: failed.length === 0, failed, at }]
  })
  const before = await readTestRecord(manifest)
  const kept = (before?.sha1 === sha1 ? before.runs : []).filter(
    (old) => !runs.some((run) => run.firmware === old.firmware && run.hardware === old.hardware),
  )
  const all = [...kept, ...runs]
  const record: TestRecord = { sha1, ok: all.every(({ ok }) => ok), runs: all }
  const path = testRecordPath(manifest)
  const partial = `${path}.${process.pid}.partial`
  try {
    await writeFile(partial, `${JSON.stringify(record, undefined, 2)}\n`)
    await rename(partial, path)
  } catch (error) {
    await rm(partial, { force: true })
    throw explain(`write "${path}"`, error)
  }
  return path
}
