/**
 * What every publisher is: it hands a finished image over to where images are taken from. A second call finds
 * that it is there and changes nothing; a call that fails leaves nothing behind that could be taken for one.
 */
import type { Report } from '../cli/progress.ts'
import type { Scope } from '../cli/scope.ts'
import type { Format } from '../image/formats.ts'

/** A finished image, as it lies on the disk. */
export type Publication = {
  name: string
  /** `20260508`, where something says so. */
  version: string | undefined
  image: { path: string; format: Format; bytes: number; sha1: string; sha256: string }
  /** Beside it, for images that have one: what Triton reads. */
  manifest: { path: string; content: Readonly<Record<string, unknown>> } | undefined
  /** What else the build left there, digests and logs and reports, absolute. */
  others: readonly string[]
  /** Of the build's directory: `main-20260508T120000Z-0123456789ab`, where it is one of ours. */
  stamp: string | undefined
}

export type Published = {
  /** Where it is now, as who takes it from there writes it. */
  where: string
  /** It was there before: nothing was changed. */
  existed: boolean
  /** How it is taken from there, a line each. */
  lines: readonly string[]
}

export type Publisher = {
  /**
   * Hand it over.
   *
   * @throws {BuildError} in the other side's words, when that refuses, or has another image of this identity
   */
  publish(publication: Publication, scope: Scope, report: Report): Promise<Published>
}
