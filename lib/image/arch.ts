/** The option --arch: which architecture an image is for, and who can't have it. */
import { architectures } from '../../distros/architectures.ts'
import { type Arch, type Distro, onArch } from '../../distros/distro.ts'
import { UsageError } from '../cli/errors.ts'
import type { OptionTable } from '../cli/options.ts'
import { targetOf, type TargetName, TARGETS } from '../targets/targets.ts'

// An object's own keys are its type's.
const ARCHITECTURES = Object.keys(architectures) as Arch[]

export const archOption = {
  arch: {
    arg: 'NAME',
    choices: ARCHITECTURES,
    default: 'amd64',
    help: 'architecture of the machines that it is for; arm64 boots from UEFI alone, and is not for smartos',
  },
} as const satisfies OptionTable

/** The distro as it is there. @throws {UsageError} where it is not built for that */
export function distroFor(distro: Distro, arch: Arch): Distro {
  const found = onArch(distro, arch)
  if (found) return found
  throw new UsageError(
    `Option --arch ${arch} does not fit ${distro.title}: its installer, which alone builds it, is known for amd64`,
  )
}

/** @throws {UsageError} for an architecture that the target does not run on, or the method can't build */
export function checkArch(options: { arch: Arch; target: TargetName }, method: string): void {
  const { arch } = options
  const why = targetOf(options).refusesArch?.[arch]
  if (why !== undefined) {
    const others = TARGETS.filter((target) => !targetOf({ target }).refusesArch?.[arch])
    throw new UsageError(`Option --arch ${arch} does not fit --target ${options.target}: ${why}`, {
      hint: `Choose ${others.map((name) => `--target ${name}`).join(' or ')}`,
    })
  }
  if (method === 'installer' && !architectures[arch].installers) {
    throw new UsageError(
      `Option --arch ${arch} does not fit --method installer: its media and answers are known for amd64`,
      { hint: 'Choose --method bootstrap' },
    )
  }
}
