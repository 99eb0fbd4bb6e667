/** What method bootstrap needs of this machine: a user who may build, tools, and keys for the packages. */
import { existsSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Distro } from '../../distros/distro.ts'
import { act } from '../cli/run.ts'
import { foreignTools } from '../host/foreign.ts'
import { INSTALLER_TOOLS, type Tool, TOOLS } from '../host/tools.ts'
import type { Recipe } from '../image/recipe.ts'
import { findKeys } from '../media/keys.ts'
import { pinnedKeyring } from '../media/signature.ts'
import type { Build } from './method.ts'
import type { Mode } from './mmdebstrap.ts'

/** What only a user who is not root needs is a name space. */
export const builderMode = (): Mode => (process.getuid?.() === 0 ? 'root' : 'unshare')

export function packagesOf({ title, bootstrap }: Distro) {
  if (bootstrap) return bootstrap
  throw new Error(`${title} has no method bootstrap`)
}

export function bootstrapTools(distro: Distro, recipe: Recipe): Tool[] {
  const { newuidmap, ...tools } = TOOLS
  return [
    ...Object.values(tools),
    ...(builderMode() === 'unshare' ? [newuidmap] : []),
    ...foreignTools(recipe.arch),
    ...keyringTools(distro, recipe),
  ]
}

/** What this machine needs so that packages can be checked. */
function keyringTools(distro: Distro, recipe: Recipe): Tool[] {
  const { keyring } = packagesOf(distro)
  if (recipe.keyring !== undefined) return []
  if (!('apt' in keyring)) return existsSync(keyring.file) ? [] : [INSTALLER_TOOLS.curl]
  const why = `holds the keys that sign ${distro.title}'s packages`
  return [{ name: keyring.file, apt: keyring.apt, why }]
}

/** The keys that packages are checked with: the operator's, this machine's, or the vendor's, fetched once. */
export async function keyringOf(
  { distro, recipe }: Build,
  offline = recipe.offline,
): Promise<string> {
  const { keyring } = packagesOf(distro)
  if (recipe.keyring !== undefined) return recipe.keyring
  if ('apt' in keyring || existsSync(keyring.file)) return keyring.file
  const cache = join(recipe.cache, 'media')
  const place = join(cache, 'keys', basename(keyring.file))
  const [fingerprint] = keyring.fingerprints
  await act(`write ${distro.title}'s key ${fingerprint} to ${place}`, async () => {
    const fetching = { env: recipe.proxyEnv, offline, option: '--keyring (with --mirror)' }
    const trust = await findKeys(keyring, undefined, cache, fetching)
    const partial = `${place}.${process.pid}.partial`
    try {
      await writeFile(partial, await pinnedKeyring(trust))
      await rename(partial, place)
    } finally {
      await rm(partial, { force: true })
    }
  })
  return place
}
