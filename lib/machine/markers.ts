/**
 * Markers: the status lines that an installation prints on its serial console, by which its outcome
 * is judged before a byte of image is written. `JOYENT_STATUS_POST=ok` is one, `...=fail` another.
 * Source: the protocol of mi-centos-hvm and mi-debian-hvm, whose answers print the same.
 */
import { BuildError } from '../cli/errors.ts'

export type Marker = { name: string; value: string }

/**
 * Begins what ../../distros/list-packages.sh prints there as well: hundreds of lines for the bill of
 * materials, which are no news of the installation.
 */
export const LISTING = /hybrid-images-(?=(?:system|package|licence|packages)\|)/

/** The markers in a console's text, in order. */
export function readMarkers(text: string): Marker[] {
  // At the start of a line only: an installer's own log quotes the commands that print them.
  return [...text.matchAll(/^JOYENT_STATUS_(\w+)=(\S*)\s*$/gm)].map(([, name, value]) => ({
    name: name!,
    value: value!,
  }))
}

/**
 * Judge an installation by its markers: each expected one has to say `ok`, and no other may be there.
 *
 * @param expected names without their prefix: `['PRE', 'POST']`
 * @throws {BuildError} with everything that is wrong
 */
export function checkMarkers(text: string, expected: readonly string[]): void {
  const found = readMarkers(text)
  const problems = [
    ...expected
      .filter((name) => !found.some((marker) => marker.name === name))
      .map((name) => `JOYENT_STATUS_${name} is missing`),
    ...found
      .filter(({ value }) => value !== 'ok')
      .map(({ name, value }) => `JOYENT_STATUS_${name}=${value}`),
    ...found
      .filter(({ name }) => !expected.includes(name))
      .map(({ name }) => `JOYENT_STATUS_${name} is unexpected`),
  ]
  if (problems.length === 0) return
  throw new BuildError(`Installation failed: ${[...new Set(problems)].join(', ')}`)
}
