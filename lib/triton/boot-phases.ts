/**
 * The phases of a boot: what is waited for, in order, and how long. Each is a check like those inside
 * the guest; when one does not come, nothing after it can.
 */
import type { Accelerator } from '../host/accelerator.ts'
import type { Limits } from '../machine/console.ts'
import type { Boot } from './check.ts'
import { checksOf } from './checks.ts'

export type FurtherBoot = Exclude<Boot, 'first boot'>
export type FirmwareName = 'bios' | 'uefi'

export type CheckResult = {
  firmware: FirmwareName
  boot: Boot
  name: string
  title: string
  /** Not reached: a phase before it failed. */
  status: 'ok' | 'failed' | 'not reached'
  evidence: string
  seconds: number
  /** Last lines of the console, for a phase that failed. */
  console?: string[]
}

/** When a phase ended, in seconds since the run of its firmware began. */
export type Moment = { firmware: FirmwareName; boot: Boot; what: string; at: number }

export type Phase = { name: string; title: string }

export const BOOT_MENU: Phase = { name: 'boot-menu', title: 'GRUB menu on the serial console' }
export const KERNEL: Phase = { name: 'kernel', title: 'kernel messages on the serial console' }
export const BANNER: Phase = {
  name: 'issue',
  title: 'banner before the log-in names image and version',
}
export const LOGIN: Phase = {
  name: 'login-prompt',
  title: 'log-in prompt on the serial console, with the host name',
}
export const SSH: Phase = { name: 'ssh-key', title: 'ssh by the key of root_authorized_keys' }
export const OTHER: Phase = {
  name: 'ssh-refused',
  title: 'ssh refused by another key and by password',
}
export const SETTLED: Phase = { name: 'settled', title: 'start-up finished' }
export const ANSWERS: Phase = {
  name: 'answers',
  title: 'the guest answers the questions of the checks',
}
export const REBOOT: Phase = { name: 'reboot', title: 'reboots without a question' }
export const PREPARE: Phase = {
  name: 'prepare-image',
  title: 'prepare-image makes it ready to be an image, and powers off',
}
export const PASSWORD: Phase = {
  name: 'console-password',
  title: 'console log-in by root_pw, with message of the day and prompt',
}

/** The menu comes first, from firmware that may be silent; everything else takes its time. */
export type PhaseLimits = { menu: Limits; other: Limits }

/**
 * Emulation is some ten times slower, and machines share the cores: a good image's log-in prompt has taken over nine
 * minutes. One that hangs is silent long before that.
 */
const LIMITS: Record<Accelerator['name'], PhaseLimits> = {
  kvm: { menu: { seconds: 40, silentSeconds: 30 }, other: { seconds: 180, silentSeconds: 60 } },
  tcg: { menu: { seconds: 120, silentSeconds: 90 }, other: { seconds: 1200, silentSeconds: 240 } },
}

/** Limits under an accelerator; `seconds` replaces them all. */
export function phaseLimits(accelerator: Accelerator, seconds: number | undefined): PhaseLimits {
  if (seconds === undefined) return LIMITS[accelerator.name]
  const limits = { seconds, silentSeconds: seconds }
  return { menu: limits, other: limits }
}

/** Everything that a boot has to show, in order. */
export function expectedChecks(boot: Boot): Phase[] {
  const before = { 'first boot': [], reboot: [REBOOT], 'second generation': [PREPARE] }[boot]
  const again = boot === 'reboot'
  return [
    ...before,
    ...[BOOT_MENU, KERNEL, LOGIN, ...(again ? [] : [BANNER]), SSH, SETTLED],
    ...[...(again ? [] : [OTHER]), ANSWERS],
    ...checksOf(boot),
    ...(boot === 'second generation' ? [PASSWORD] : []),
  ]
}
