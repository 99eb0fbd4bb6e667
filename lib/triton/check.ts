/**
 * What a check is: a question for the guest's shell, and a judgement of what it says. Judgements are
 * pure functions, so that each can be shown to fail.
 */
import type { Instance } from './instance.ts'

/** First boot of an instance, the boot after it, and the first boot of an image made of it. */
export type Boot = 'first boot' | 'reboot' | 'second generation'

export type Seen = {
  boot: Boot
  instance: Instance
  /** Said by the guest on the boot before this one, by name of check. */
  earlier: ReadonlyMap<string, string>
  image: { name: string; version: string; volumeBytes: number }
  diskBytes: number
  dataBytes: number
}

export type Verdict = { ok: boolean; evidence: string }

export type Check = {
  name: string
  title: string
  /** Absent: on each of them. */
  boots?: readonly Boot[]
  /** POSIX shell, run by root. */
  ask: string
  judge: (said: string, seen: Seen) => Verdict
}

/** Boots on which first-boot work is done. */
export const FIRST_BOOTS: readonly Boot[] = ['first boot', 'second generation']

/** Shell: seconds of the epoch at which the guest was started. */
export const SINCE_BOOT = `boot=$(awk '$1 == "btime" { print $2 }' /proc/stat)`

export const ok = (evidence: string): Verdict => ({ ok: true, evidence })
export const bad = (evidence: string): Verdict => ({ ok: false, evidence })
export const verdict = (good: boolean, evidence: string): Verdict => ({ ok: good, evidence })

export const lines = (text: string) =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)
export const quoted = (values: readonly string[]) => values.map((value) => `"${value}"`).join(', ')

/** Nothing may be said; what is, is the evidence. */
export const nothing =
  (fine: string, limit = 5) =>
  (said: string): Verdict => {
    const found = lines(said)
    const more = found.length > limit ? ` and ${found.length - limit} more` : ''
    return found.length === 0 ? ok(fine) : bad(found.slice(0, limit).join('; ') + more)
  }

/** All of these have to be among the lines. */
export function containsAll(found: readonly string[], wanted: readonly string[]): Verdict {
  const missing = wanted.filter((one) => !found.includes(one))
  return verdict(
    missing.length === 0,
    missing.length ? `missing ${quoted(missing)} in ${quoted(found)}` : wanted.join(', '),
  )
}
