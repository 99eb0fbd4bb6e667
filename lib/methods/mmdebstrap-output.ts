/** Reads what mmdebstrap, and apt and dpkg below it, print: how far it is, and what went wrong. */
import { BuildError } from '../cli/errors.ts'
import { explainScript } from './script-failure.ts'

/** How far a run is when a line of this shape appears, and what it does from there on. */
const PHASES: [RegExp, number, string][] = [
  [/^I: running apt-get update/, 0, 'package lists'],
  [/^I: downloading packages/, 0.05, 'downloading'],
  [/^I: extracting archives/, 0.12, 'extracting'],
  [/^I: installing essential/, 0.16, 'essential packages'],
  [/^I: installing remaining/, 0.26, 'downloading'],
  [/^I: running --customize-hook/, 0.92, 'setting up the guest'],
]
const INSTALL = { after: 0.26, from: 0.32, to: 0.92 }

/** Follows the output line by line; returns a fraction, never less than before, and a note. */
export function followMmdebstrap(): (line: string) => [number, string] | undefined {
  let reached = 0
  let packages = 0
  let handled = 0
  return (line) => {
    const phase = PHASES.find(([pattern]) => pattern.test(line))
    if (phase) {
      reached = Math.max(reached, phase[1])
      return [reached, phase[2]]
    }
    // The essential packages are counted too, before the rest: the last count is the one.
    const count = /^\d+ upgraded, (\d+) newly installed/.exec(line)
    if (count) [packages, handled] = [Number(count[1]), 0]
    const [, verb, name] = /^(Unpacking|Setting up) (\S+)/.exec(line) ?? []
    if (!verb) return undefined
    if (reached >= INSTALL.after && packages > 0) {
      handled += 1
      const share = Math.min(1, handled / (2 * packages))
      reached = Math.max(reached, INSTALL.from + share * (INSTALL.to - INSTALL.from))
    }
    return [reached, `${verb.toLowerCase()} ${name}`]
  }
}

const WHEN_FULL = 'The disk is full: free some space, or set TMPDIR to a directory with 4 GiB free'

/** What to do about a complaint; the first that fits, so what is special comes first. */
const HINTS: [RegExp, string][] = [
  [/No space left on device|not enough free space|don't have enough free space/i, WHEN_FULL],
  [/Unable to locate package|has no installation candidate/, 'Check --include and --kernel'],
  [/404|does not have a Release file/, 'Check --mirror: it has to hold dists/<codename>/Release'],
  [
    /NO_PUBKEY|not signed|EXPKEYSIG|BADSIG|invalid signature/i,
    "The mirror's signature can't be verified: is the keyring package current?",
  ],
  [
    /Hash Sum mismatch|unexpected size|not a Debian format archive|lzma error/i,
    'A download is damaged: try again, or choose another --mirror',
  ],
  [
    /resolv|Could not connect|Connection refused|timed out|Network is unreachable|Unable to connect|Error reading from server|Failed to fetch/i,
    'Check the network, --mirror and --proxy; --offline builds from the package cache',
  ],
]

/** Lines that only pass on that something failed. */
const ECHO =
  /^E: (setup failed|apt-get .* failed|mmdebstrap failed|run_chroot|.* --customize-hook|hook|Sub-process|.*special hook|remove_tree|env --chdir|chroot|.*failed to run$|Unable to fetch some|Some index files)/

/** What went wrong, from everything that mmdebstrap printed. */
export function mmdebstrapError(output: string): BuildError {
  const lines = output.split('\n').map((line) => line.trim())
  const said = lines.filter((line) => !line.startsWith('I: ')).join('\n')
  const failed = explainScript(said, WHEN_FULL)
  if (failed) return new BuildError(`In the new system ${failed.what}`, { hint: failed.hint })
  // dpkg names the package on one line and the reason on the next.
  const complaints = lines.flatMap((line, i) => {
    if (/^dpkg: error/.test(line)) return [`${line} ${lines[i + 1] ?? ''}`]
    // tar and cp have their own way to say it.
    return /^(E:|Err:)|: No space left on device$/.test(line) ? [line] : []
  })
  const cause =
    complaints.find((line) => /No space left on device/.test(line)) ??
    complaints.find((line) => line.startsWith('E:') && !ECHO.test(line)) ??
    complaints[0] ??
    lines.filter(Boolean).at(-1) ??
    'no output'
  const hintFor = (text: string) => HINTS.find(([pattern]) => pattern.test(text))?.[1]
  return new BuildError(`Cannot install packages: ${cause.replace(/^E: /, '')}`, {
    hint: hintFor(cause) ?? hintFor(complaints.join('\n')) ?? 'Run again with --verbose to see all',
  })
}

/** Is the release gone from this mirror, so that the next one is worth a try? */
export function releaseIsGone(output: string): boolean {
  return /does not have a Release file|no longer has a Release file/.test(output)
}
