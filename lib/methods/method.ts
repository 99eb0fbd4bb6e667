/** What every method is: a way to get a system onto a disk, in stages that can be run alone. */
import type { Distro } from '../../distros/distro.ts'
import type { Report } from '../cli/progress.ts'
import type { Scope } from '../cli/scope.ts'
import type { Hypervisor } from '../host/hypervisor.ts'
import type { Tool } from '../host/tools.ts'
import type { Finding } from '../hygiene/leftovers.ts'
import type { Material } from '../image/materials.ts'
import type { StageCache } from '../image/stage-cache.ts'
import type { Media } from '../media/media.ts'
import type { PackageLock } from '../packages/lock.ts'
import type { Recipe } from '../image/recipe.ts'

/** What was found out about this machine. */
export type Host = {
  /** For methods that install in a machine. */
  hypervisor?: Hypervisor
}

export type Build = {
  distro: Distro
  recipe: Recipe
  scope: Scope
  /** Directory for what lies between. */
  work: string
  /** What identifiers are derived from. */
  seed: string
  /** Time of everything that the build makes. */
  epochSeconds: number
  /** Where the method knows beforehand what it is going to use. */
  pin?: Pin
  /** What the system is known by in the cache, where that is known beforehand. */
  key?: string
  /** What the machine begins with, where the stage fetch has just brought and verified it. */
  media?: Media
  stages: StageCache
}

/** Everything that goes into a system, decided before it is made: the same pin gives the same bytes. */
export type Pin = {
  lock: PackageLock
  /** When the newest of its packages was made, in seconds: the date of what these write by themselves. */
  newest: number
  /** Where the packages' files are. */
  store: string
  /** What the operator's script may install more from: sources of apt, and the lists of these. */
  sources: readonly string[]
  lists: string
  materials: Material[]
}

export type Filled = {
  /** The point release that is on the disk, where it says so. */
  upstream?: string | undefined
  /** What the machine printed while it installed, where there was one. */
  serialLog?: string
  /** What the package manager and the set-up printed, where no machine did. */
  output?: string
  /** Of a system that no pin knows: random, and the same whenever it is taken from the cache. */
  identity?: string
  /** What was found in it that the operator allowed (lib/hygiene). */
  leftovers?: readonly Finding[]
  /** What it was made of, for the provenance. */
  materials?: Material[]
  /** Takes the system away that was kept for the next build. */
  forget?: () => Promise<void>
}

export type Method = {
  /** Programs of this machine that it needs. */
  tools(distro: Distro, recipe: Recipe): Tool[]
  /** What else has to be so on this machine to fill a disk, once the tools are there. */
  checkHost(recipe: Recipe, options: { install: boolean }): Promise<Host>
  /** Stage fetch: bring what the vendor publishes into the cache; where it is, and what. */
  fetch(build: Build, report: Report): Promise<{ path: string; media?: Media }>
  /**
   * Decide what the system is made of, and have it in the cache. Methods that run the vendor's own programs can't
   * know.
   */
  pin?(build: Build, options: { fetched: boolean }): Promise<Pin>
  /** What identifiers are derived from, the same for every build of this pin. */
  seed?(build: Build, pin: Pin): string
  /**
   * What the system is known by: a digest of all that it is made of, as far as that can be known beforehand. With a
   * pin the same key is the same bytes; without one it is a system that would do as well.
   */
  systemKey?(build: Build, options: { fetched: boolean }): Promise<string | undefined>
  /** Stage iso: what an installer would be told, as files to read; where they are, if there are any. */
  answers(build: Build): Promise<string | undefined>
  /** Pack the new system's root as a tar file, in steps of its own. */
  pack(build: Build, host: Host, options: { fetched: boolean }): Promise<Filled & { tar: string }>
  /** Fill the empty disk at this path, in steps of its own. */
  fill(build: Build, host: Host, disk: string, options: { fetched: boolean }): Promise<Filled>
}
