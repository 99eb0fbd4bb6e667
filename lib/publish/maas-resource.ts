/**
 * Boot resources as MAAS tells of them: a resource of a name and an architecture has sets, one for each
 * upload, and such a set one file.
 *
 * MAAS deploys the newest set that is complete. An upload under a name that is there makes a new set and
 * deletes the files of the others at once; there is no request that deletes a set alone.
 *
 * Source: the API's documentation, "Boot resources"; MAAS 3.7, maasserver/api/boot_resources.py and
 * maasserver/forms.
 */
import { BuildError } from '../cli/errors.ts'
import { oneLine } from '../cli/one-line.ts'
import type { Format } from '../image/formats.ts'
import type { MaasApi } from './maas-api.ts'

/** What this is to MAAS, and what that calls it later. Others can't be deployed. */
const FILE_TYPES: Partial<Record<Format, { filetype: string; stored: string }>> = {
  tgz: { filetype: 'tgz', stored: 'root-tgz' },
  'dd.gz': { filetype: 'ddgz', stored: 'root-dd.gz' },
  raw: { filetype: 'ddraw', stored: 'root-dd.raw' },
}

/** @throws {BuildError} when MAAS has no such type */
export function fileTypeOf(path: string, format: Format): { filetype: string; stored: string } {
  const found = FILE_TYPES[format]
  if (found) return found
  throw new BuildError(
    `Cannot publish "${path}" to MAAS: it is ${format}, which that does not deploy`,
    {
      hint: 'Make a gzipped disk of it: convert-image IN OUT.dd.gz',
    },
  )
}

export type ResourceFile = {
  filetype: string
  sha256: string
  size: number
  complete: boolean
  /** Per cent of it, over all region controllers. */
  progress: number
  /** Where its parts go to, until it is complete. */
  uploadUri: string | undefined
}

export type Resource = {
  id: number
  /** Newest set first. */
  files: ResourceFile[]
}

type Fields = Readonly<Record<string, unknown>>
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Sets are called 20261129, 20261129.1, ... 20261129.10. */
const { compare } = new Intl.Collator('en', { numeric: true })

/** @throws {BuildError} when it is none: another server answers there, or another version */
export function resourceOf(value: unknown, url: string): Resource {
  const strange = () =>
    new BuildError(`Cannot read the answer of ${url}: it is no boot resource of MAAS' API 2.0`)
  if (!isFields(value) || typeof value['id'] !== 'number' || !isFields(value['sets']))
    throw strange()
  const sets = Object.entries(value['sets']).sort(([a], [b]) => compare(b, a))
  const files = sets.flatMap(([, set]) => {
    if (!isFields(set) || !isFields(set['files'])) throw strange()
    return Object.values(set['files']).map((file): ResourceFile => {
      if (!isFields(file)) throw strange()
      const { filetype, sha256, size, complete, progress, upload_uri: uploadUri } = file
      if (typeof sha256 !== 'string' || typeof size !== 'number') throw strange()
      return {
        filetype: typeof filetype === 'string' ? oneLine(filetype) : 'unknown',
        sha256,
        size,
        complete: complete === true,
        progress: typeof progress === 'number' ? progress : 0,
        uploadUri: typeof uploadUri === 'string' ? uploadUri : undefined,
      }
    })
  })
  return { id: value['id'], files }
}

const pathOf = (id: number) => `boot-resources/${id}/`

export async function readResource(api: MaasApi, id: number): Promise<Resource> {
  const what = `read boot resource ${id} of MAAS`
  return resourceOf(await api.read(what, pathOf(id)), api.url)
}

/** The resource of that name and architecture, where there is one. */
export async function findResource(
  api: MaasApi,
  { name, architecture }: { name: string; architecture: string },
  options: { undo?: boolean } = {},
): Promise<Resource | undefined> {
  const what = 'list the boot resources of MAAS'
  const list = await api.read(what, 'boot-resources/?type=uploaded', options)
  if (!Array.isArray(list)) throw new BuildError(`Cannot ${what}: ${api.url} answers with no list`)
  const found = list.find(
    (one: unknown) => isFields(one) && one['name'] === name && one['architecture'] === architecture,
  ) as Fields | undefined // find() has seen that it is one
  if (found === undefined) return undefined
  if (typeof found['id'] !== 'number') return resourceOf(found, api.url)
  return resourceOf(await api.read(what, pathOf(found['id']), options), api.url)
}

/** Region controllers: what they have of a file is counted over all of them. */
export async function countRegions(api: MaasApi): Promise<number> {
  const { status, text } = await api.request('GET', 'regioncontrollers/')
  try {
    const list: unknown = JSON.parse(text)
    if (status === 200 && Array.isArray(list)) return Math.max(1, list.length)
  } catch {
    // not told: most have one, and a wrong guess is found out by the digest
  }
  return 1
}
