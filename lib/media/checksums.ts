/**
 * Checksum lists that vendors publish beside their media.
 *
 * Reads the GNU layout, `<hex>  <file>`, and the BSD one, `SHA256 (<file>) = <hex>`; comments and the
 * armour of a signed list are passed over. Digests are lower-case hexadecimal; which algorithm made
 * one shows in its length. Whether the list is the vendor's, signature.ts finds out.
 * Source: coreutils manual, "md5sum invocation".
 */
import { BuildError } from '../cli/errors.ts'

export type Digest = { algorithm: 'sha256' | 'sha512'; hex: string }

const GNU = /^(?<hex>[0-9a-fA-F]+) [ *](?:\.\/)?(?<file>\S.*)$/
const BSD = /^SHA(?:256|512) \((?<file>.+)\) = (?<hex>[0-9a-fA-F]+)$/
const ALGORITHMS: Record<number, Digest['algorithm']> = { 64: 'sha256', 128: 'sha512' }

/** File name to digest; weaker digests, which some lists hold as well, are left out. */
export function parseChecksums(text: string): Map<string, Digest> {
  const digests = new Map<string, Digest>()
  for (const line of text.split(/\r?\n/)) {
    const { file, hex } = (BSD.exec(line) ?? GNU.exec(line))?.groups ?? {}
    const algorithm = ALGORITHMS[hex?.length ?? 0]
    if (file && hex && algorithm) digests.set(file, { algorithm, hex: hex.toLowerCase() })
  }
  return digests
}

/**
 * The newest of the listed files whose name matches: point releases rename media, not patterns.
 *
 * @throws {BuildError} when none matches; the message says what was there
 */
export function newestMatch(files: Iterable<string>, pattern: RegExp, where: string): string {
  const { compare } = new Intl.Collator('en', { numeric: true })
  const all = [...files]
  const newest = all
    .filter((file) => pattern.test(file))
    .sort(compare)
    .at(-1)
  if (newest !== undefined) return newest
  const listed = all.length > 0 ? `listed are ${all.slice(0, 10).join(', ')}` : 'it lists no file'
  throw new BuildError(`Cannot find media matching ${pattern} in ${where}: ${listed}`)
}
