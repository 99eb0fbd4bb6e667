/**
 * Manifest prototypes: JSON with tokens such as `@NAME@`, which the classic create-hybrid-image fills
 * in. Its own forgot `@HOMEPAGE@`. Source: eng, tools/create-hybrid-image, usage text.
 */
import { BuildError } from '../cli/errors.ts'
import { oneLine } from '../cli/one-line.ts'
import { readSmallInput } from '../cli/small-file.ts'
import { validators } from './validators.ts'

/** What the tokens stand for. */
export type PrototypeValues = {
  NAME: string
  /** `20260508` */
  DATE: string
  DESC: string
  HOMEPAGE: string
  /** MiB */
  ZVOL_SIZE: number
  /** Bytes of the compressed stream. */
  GZIP_SIZE: number
  /** `2026-05-08T12:00:00Z` */
  TIME_NOW: string
  IMAGE_UUID: string
  /** SHA-1 of the compressed stream. */
  IMAGE_SHA: string
}

const TOKEN = /@([A-Z][A-Z0-9_]*)@/g

/** Text inside a JSON string, without its quotes. */
const jsonText = (text: string) => JSON.stringify(text).slice(1, -1)

/**
 * Fill a prototype in; the manifest as an object.
 *
 * @param where names the prototype in messages
 * @throws {BuildError} for a token that means nothing, and when the result is no manifest
 */
export function fillPrototype(text: string, values: PrototypeValues, where: string): object {
  const known = values as Record<string, string | number>
  const unknown = [...text.matchAll(TOKEN)]
    .map(([, name]) => name!)
    .filter((name) => !(name in known))
  if (unknown.length > 0) {
    throw new BuildError(
      `Cannot use prototype "${where}": it has @${[...new Set(unknown)].join('@, @')}@`,
      {
        hint: `Known are ${Object.keys(values)
          .map((name) => `@${name}@`)
          .join(', ')}`,
      },
    )
  }
  const filled = text.replaceAll(TOKEN, (_, name: string) => jsonText(String(known[name])))
  let manifest: unknown
  try {
    manifest = JSON.parse(filled)
  } catch (error) {
    throw new BuildError(`Cannot use prototype "${where}": ${oneLine((error as Error).message)}`, {
      cause: error,
    })
  }
  if (typeof manifest !== 'object' || manifest === null || Array.isArray(manifest)) {
    throw new BuildError(`Cannot use prototype "${where}": it is no JSON object`)
  }
  const numbered = withNumbers(manifest as Record<string, unknown>)
  const problems = complaints(numbered)
  if (problems.length === 0) return numbered
  throw new BuildError(`Cannot use prototype "${where}": ${problems.join('; ')}`)
}

/** Sizes are numbers in a manifest; prototypes put tokens, and so their values, between quotes. */
function withNumbers(manifest: Record<string, unknown>): Record<string, unknown> {
  const number = (value: unknown) =>
    typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
  const files = manifest['files']
  return {
    ...manifest,
    ...('image_size' in manifest && { image_size: number(manifest['image_size']) }),
    ...(Array.isArray(files) && {
      files: files.map((file: unknown) =>
        typeof file === 'object' && file !== null && 'size' in file
          ? { ...file, size: number(file.size) }
          : file,
      ),
    }),
  }
}

function complaints(manifest: object): string[] {
  try {
    const problems = validators().validateMinimalManifest(manifest) ?? []
    const { type, files } = manifest as { type?: unknown; files?: unknown[] }
    return [
      ...problems.map(({ field, code, message }) => `${field}: ${message ?? code}`),
      ...(type === 'zvol' ? [] : [`type: it is ${JSON.stringify(type)}, and not "zvol"`]),
      ...(files?.length === 1 ? [] : ['files: there has to be one']),
    ]
  } catch (error) {
    return [`imgadm can't read it (${(error as Error).message})`]
  }
}

/** Read a prototype. @throws {BuildError} when it can't be read */
export async function readPrototype(path: string): Promise<string> {
  return String(await readSmallInput(path))
}
