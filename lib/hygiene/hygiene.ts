/**
 * "Nothing leaks, nobody enters": a look at every finished system before its image is written. Its files are
 * read from the disk or the root tar, without booting and without mounts, by the rules of rules.ts; the
 * passwords that the build knew are looked for in all of its bytes.
 */
import { type FileHandle, open } from 'node:fs/promises'
import type { Distro } from '../../distros/distro.ts'
import { BuildError, errorCode, explain } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import { step } from '../cli/progress.ts'
import { act } from '../cli/run.ts'
import { madeSecrets } from '../cli/secrets.ts'
import { stopSignal } from '../cli/session.ts'
import { allocatedExtents } from '../disk/extents.ts'
import type { Recipe } from '../image/recipe.ts'
import type { Build, Method } from '../methods/method.ts'
import { targetOf } from '../targets/targets.ts'
import type { Extent } from '../zfs/write.ts'
import type { SystemFiles } from './files.ts'
import { describeFinding, type Finding, type LeftoverName, type Origin } from './leftovers.ts'
import { openDisk, openRootTar } from './open-disk.ts'
import { findLeftovers } from './rules.ts'
import { searchBytes } from './search.ts'
import { type Secret, secretsOf } from './secrets.ts'

/** A finished system, before it is an image. */
export type System = { kind: 'disk' | 'tar'; path: string }

/** The last two labels of a host's name. */
const domainOf = (host: string) => host.split('.').slice(-2).join('.')

/** The domains of all addresses that a definition has: its own site, mirrors, keys and media. */
function vendorDomains(distro: Distro): string[] {
  const addresses = JSON.stringify(distro).matchAll(/https?:\/\/([a-z0-9.-]+)/gi)
  return [...new Set([...addresses].map(([, host]) => domainOf(host!.toLowerCase())))]
}

export function originOf(distro: Distro, { mirrors }: Pick<Recipe, 'mirrors'>): Origin {
  const hosts = mirrors.flatMap(({ main, security }) => [main, security])
  return {
    vendorDomains: vendorDomains(distro),
    buildHosts: hosts.flatMap((url) => (url === undefined ? [] : [new URL(url).hostname])),
  }
}

/** Where data may be: a file's holes are zeros; of a volume nobody knows. */
async function extentsOf(
  { kind, path }: System,
  file: FileHandle,
  bytes: number,
): Promise<Extent[]> {
  const stat = await file.stat()
  if (!stat.isFile()) return [{ offset: 0, length: bytes }]
  return kind === 'disk' ? allocatedExtents(path) : [{ offset: 0, length: stat.size }]
}

async function findSecrets(
  system: System,
  file: FileHandle,
  bytes: number,
  secrets: readonly Secret[],
  files: SystemFiles | undefined,
): Promise<Finding[]> {
  if (secrets.length === 0) return []
  const found = await searchBytes(file, await extentsOf(system, file, bytes), secrets, stopSignal())
  // A password is found in several spellings; one place of each is enough.
  const first = new Map(found.reverse().map((one) => [one.secret.what, one]))
  return [...first.values()].map(({ secret, offset }) => {
    const owner = files?.ownerOf(offset)
    const where = owner === undefined ? 'in no file' : `in ${owner}`
    return {
      name: 'secrets',
      evidence: `${secret.what}, ${where} (byte ${offset} of the ${system.kind})`,
    }
  })
}

/** A disk that can't be read is a finding as well: nobody knows what is in it. */
async function readFiles(
  { kind }: System,
  file: FileHandle,
  origin: Origin,
): Promise<{ files?: SystemFiles; findings: Finding[] }> {
  try {
    const files = await (kind === 'disk' ? openDisk : openRootTar)(file)
    const unread = files.unread.map((evidence): Finding => ({ name: 'unread', evidence }))
    return { files, findings: [...findLeftovers(files, origin), ...unread] }
  } catch (error) {
    // A damaged file system names places that are not there: Node says so by errors with a code.
    const known = error instanceof RangeError || errorCode(error) !== undefined
    if (!(error instanceof BuildError) && !known) throw error
    const evidence = error instanceof BuildError ? error.message : 'its file system is damaged'
    return { findings: [{ name: 'unread', evidence }] }
  }
}

/**
 * All that is found in a system.
 *
 * @param bytes of the disk, where it is no file
 * @throws {BuildError} when the disk or the tar itself can't be read
 */
export async function findIn(
  system: System,
  { origin, secrets, bytes }: { origin: Origin; secrets: readonly Secret[]; bytes: number },
): Promise<Finding[]> {
  let file: FileHandle | undefined
  try {
    file = await open(system.path, 'r')
    const { files, findings } = await readFiles(system, file, origin)
    return [...findings, ...(await findSecrets(system, file, bytes, secrets, files))]
  } catch (error) {
    throw explain(`read "${system.path}"`, error)
  } finally {
    await file?.close()
  }
}

/**
 * Findings that nobody allowed end a build.
 *
 * @param advice what to do about those names
 * @throws {BuildError} with a line for each
 */
export function refuseLeftovers(
  findings: readonly Finding[],
  allowed: readonly LeftoverName[],
  advice: (names: readonly LeftoverName[]) => string,
): void {
  const bad = findings.filter(({ name }) => !allowed.includes(name))
  if (bad.length === 0) return
  const names = [...new Set(bad.map(({ name }) => name))]
  const what = bad.length === 1 ? 'something' : `${bad.length} things`
  throw new BuildError(`Cannot ship the image: it holds ${what} that no image may bring along`, {
    hint: [...bad.map(describeFinding), advice(names)].join('\n  '),
  })
}

async function check({ distro, recipe }: Build, system: System): Promise<Finding[]> {
  return step('Look for leftovers', async () => {
    const findings = await act(
      `look for leftovers of the build in ${system.path}`,
      () =>
        findIn(system, {
          origin: originOf(distro, recipe),
          secrets: secretsOf(recipe),
          bytes: recipe.disk.bytes,
        }),
      [],
    )
    const own = targetOf(recipe).leftovers
    const asked = findings.filter(({ name }) => own[name] === undefined)
    refuseLeftovers(
      asked,
      recipe.allowLeftovers,
      (names) =>
        `Take them away in --customize, or ship them on purpose: --allow-leftover ${names.join(',')}`,
    )
    for (const finding of asked) log.info(`Allowed leftover, ${describeFinding(finding)}`)
    return asked
  })
}

/**
 * For a disk that an operator's own installer has filled, which decides what belongs there: a warning for each
 * finding, and an error only where the operator wants one.
 */
export async function checkForeign(
  disk: string,
  { bytes, refuse }: { bytes: number; refuse: boolean },
): Promise<void> {
  await step('Look for leftovers', async () => {
    const secrets = madeSecrets().map(({ what, text }) => ({ what, bytes: Buffer.from(text) }))
    const origin = { vendorDomains: undefined, buildHosts: [] }
    const findings = await findIn({ kind: 'disk', path: disk }, { origin, secrets, bytes })
    if (refuse) refuseLeftovers(findings, [], () => 'Have its installer take them away')
    for (const finding of findings) log.warn(`Leftover, ${describeFinding(finding)}`)
  })
}

/** Check it; what may not ship is not kept for the next build either. */
async function checked(build: Build, system: System, forget: (() => Promise<void>) | undefined) {
  try {
    return await check(build, system)
  } catch (error) {
    await forget?.()
    throw error
  }
}

/** The method, whose system is looked at when it is done. */
export const withHygiene = (method: Method): Method => ({
  ...method,
  async fill(build, host, disk, options) {
    const { forget, ...filled } = await method.fill(build, host, disk, options)
    const leftovers = await checked(build, { kind: 'disk', path: disk }, forget)
    return { ...filled, leftovers }
  },
  async pack(build, host, options) {
    const { forget, ...packed } = await method.pack(build, host, options)
    const leftovers = await checked(build, { kind: 'tar', path: packed.tar }, forget)
    return { ...packed, leftovers }
  },
})
