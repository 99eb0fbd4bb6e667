/**
 * What a build leaves of itself beside the image: the bill of materials and the provenance, which depend on the
 * image's digests, and which its manifest then names by theirs.
 */
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { log } from '../cli/log.ts'
import { act } from '../cli/run.ts'
import { session } from '../cli/session.ts'
import type { Tool } from '../host/tools.ts'
import { toolVersions } from '../host/versions.ts'
import type { Build, Filled } from '../methods/method.ts'
import { digestFile, type ImageFile } from './image-file.ts'
import { LOCK, lockText } from '../packages/lock.ts'
import { type Material, mirrorMaterials, ownMaterials, sourceMaterial } from './materials.ts'
import { type PackageList, readPackageList } from './package-list.ts'
import { provenanceText } from './provenance.ts'
import { sbomText } from './sbom.ts'

export const SBOM = 'sbom.cdx.json'
export const PROVENANCE = 'provenance.json'

export type Records = {
  list: PackageList | undefined
  /** For the manifest: names of the files, and their digests. */
  tags: Record<string, string>
}

type Made = Filled & { image: ImageFile }

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/**
 * Write them to the directory of the image.
 *
 * @param serial the console as it is kept there, where there is one
 * @param tools programs of this machine that took part
 * @throws {BuildError} when a file can't be written
 */
export async function writeRecords(
  build: Build,
  made: Made,
  serial: string | undefined,
  tools: readonly Tool[],
): Promise<Records> {
  const { distro, recipe, seed } = build
  const { image } = made
  const base = join(image.path, '..', recipe.fileName)
  const list = await packagesOf(made, serial)
  const own = await ownVersion()
  const tags: Record<string, string> = {}
  const byproducts: Material[] = []
  const write = async (tag: string, path: string, text: () => Promise<string> | string) =>
    act(`write ${path}`, async () => {
      const content = await text()
      await writeFile(path, content)
      tags[tag] = basename(path)
      tags[`${tag}_sha256`] = sha256(content)
    })

  if (list || session.dryRun) {
    await write('sbom', `${base}.${SBOM}`, () =>
      sbomText({
        ...recipe,
        sha1: image.sha1,
        sha256: image.sha256,
        seed,
        at: recipe.at,
        distro: { name: distro.name, release: recipe.release.version },
        list: list!,
        madeBy: own,
      }),
    )
    byproducts.push({
      name: `${recipe.fileName}.${SBOM}`,
      digest: { sha256: tags['sbom_sha256'] ?? '' },
      mediaType: 'application/vnd.cyclonedx+json',
    })
  }
  if (build.pin) {
    const { lock } = build.pin
    const name = `${recipe.fileName}.${LOCK}`
    const content = lockText(lock)
    await act(`write ${name}`, () => writeFile(join(image.path, '..', name), content))
    const digest = { sha256: sha256(content) }
    byproducts.push({ name, digest, mediaType: 'application/json' })
  }
  if (serial !== undefined && !session.dryRun) {
    const { sha256: digest } = await digestFile(serial)
    byproducts.push({ name: basename(serial), digest: { sha256: digest }, mediaType: 'text/plain' })
  }
  await write('provenance', `${base}.${PROVENANCE}`, async () =>
    provenanceText({
      recipe,
      distro: distro.name,
      seed,
      image,
      imageName: basename(image.path),
      materials: [
        ...(await sourceMaterial(recipe.stamp.commit.endsWith('-dirty'))),
        ...mirrorMaterials(recipe),
        ...(made.materials ?? []),
        ...(await ownMaterials(recipe)),
      ],
      byproducts,
      versions: {
        'hybrid-images': own,
        node: process.versions.node,
        ...(await toolVersions(tools)),
      },
      // Who gives the time of a build wants the same bytes of it.
      finishedAt: process.env['SOURCE_DATE_EPOCH'] ? undefined : new Date(),
    }),
  )
  return { list, tags }
}

async function packagesOf(made: Made, serial: string | undefined) {
  if (session.dryRun) return undefined
  const said = made.output ?? (serial === undefined ? '' : await readFile(serial, 'latin1'))
  const list = readPackageList(said)
  if (!list) {
    log.warn(
      'The new system printed no list of its packages, or not a whole one: no SBOM is written',
    )
  }
  return list
}

/** This project's. */
async function ownVersion(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
