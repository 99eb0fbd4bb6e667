/** Images with planted defects, and what test-image says of them. */
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inspectImage } from '../lib/image/inspect.ts'
import { imageManifest, writeManifest } from '../lib/image/manifest.ts'
import { plainText } from '../lib/machine/console.ts'
import { run } from './live.ts'

/** What `test-image --json` prints. */
export type TestResult = {
  ok: boolean
  accelerator: string
  checks: { firmware: string; boot: string; name: string; status: string; evidence: string }[]
  reports: { html: string; junit: string; serialLogs: string[] }
}

/** `firmware/boot/check` of everything that has a status, sorted. */
export const named = (result: TestResult, status: string) =>
  result.checks
    .filter((check) => check.status === status)
    .map(({ firmware, boot, name }) => `${firmware}/${boot}/${name}`)
    .sort()

/** The checks that failed, each with what was found instead, and the consoles' last lines: a report is gone with the test. */
export function failures(result: TestResult): string[] {
  const failed = result.checks
    .filter(({ status }) => status === 'failed')
    .map(({ firmware, boot, name, evidence }) => `${firmware}/${boot}/${name}: ${evidence}`)
  if (failed.length === 0) return []
  const consoles = result.reports.serialLogs.flatMap((path) =>
    plainText(readFileSync(path, 'latin1')).trimEnd().split('\n').slice(-5),
  )
  return [...failed, ...consoles]
}

export const MIB = 1024 ** 2

/** A good image: its disk, and its manifest. */
type Good = { dir: string; raw: string; manifest: string }

/** An image of its disk, changed. @returns its manifest */
export async function planted(
  { dir, raw, manifest }: Good,
  name: string,
  change: (disk: string) => Promise<void>,
): Promise<string> {
  const disk = join(dir, `${name}.raw`)
  execFileSync('cp', ['--sparse=always', raw, disk])
  await change(disk)
  const stream = join(dir, `${name}-20261121.zfs.gz`)
  assert.is((await run('convert-image', [disk, stream])).status, 0)
  execFileSync('rm', [disk])
  const { file, stream: content } = await inspectImage(stream)
  const { sha1, sha256, bytes } = file
  const path = join(dir, `${name}-20261121.imgmanifest`)
  const { name: image, version } = JSON.parse(await readFile(manifest, 'utf8')) as Record<
    string,
    string
  >
  const described = imageManifest({
    name: image!,
    version: version!,
    description: 'a planted defect',
    homepage: 'https://example.com/',
    volumeBytes: 10 * 1024 ** 3,
    publishedAt: new Date(),
    defaultUser: 'root',
    sha256,
    file: { sha1, bytes, datasetGuid: content.guid },
  })
  await writeManifest(described, path)
  return path
}

/** Overwrite a part of a disk. */
export async function zero(disk: string, offset: number, bytes: number): Promise<void> {
  const file = await open(disk, 'r+')
  await file.write(Buffer.alloc(bytes), 0, bytes, offset)
  await file.close()
}
