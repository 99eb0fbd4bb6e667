/** All checks inside a booted image; the questions of a boot are asked in one (guest-script.ts). */
import type { Boot, Check } from './check.ts'
import { instanceChecks } from './instance-checks.ts'
import { systemChecks } from './system-checks.ts'

export const checks: readonly Check[] = [...instanceChecks, ...systemChecks]

/** Those that are made on a boot, in order. */
export function checksOf(boot: Boot): readonly Check[] {
  return checks.filter(({ boots }) => boots === undefined || boots.includes(boot))
}
