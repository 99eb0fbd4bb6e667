/**
 * One upload to MAAS from its announcement to the resource that is whole: made, sent, taken up again, started
 * over, waited for, and deleted where it comes to nothing.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import type { Scope } from '../cli/scope.ts'
import { stopSignal } from '../cli/session.ts'
import { ATTEMPTS, type MaasApi, parseJson, refused } from './maas-api.ts'
import {
  findResource,
  readResource,
  type Resource,
  type ResourceFile,
  resourceOf,
} from './maas-resource.ts'
import { receivedBytes, uploadParts } from './maas-upload.ts'
import type { Publication } from './publisher.ts'

/** Of the times that tests can't wait for. */
export type MaasTuning = { partBytes?: number; pauseMs?: number; completeMs?: number }

/** Uploads that came out wrong are started over so often. */
const STARTS = 3
/** For the other region controllers of a MAAS to have the image too. */
const COMPLETE_MS = 30 * 60_000
/** The operator waits for these. */
const UNDO_ATTEMPTS = 3

type Form = Record<'name' | 'title' | 'architecture' | 'filetype' | 'sha256' | 'size', string>
export type Upload = {
  api: MaasApi
  form: Form
  image: Publication['image']
  directory: string
  tuning: MaasTuning
}

/** This image's content, by its digest. */
export const isThis = ({ image }: Upload, file: ResourceFile) =>
  file.sha256 === image.sha256 && file.size === image.bytes

/** Send it, from where an earlier run was cut off, or anew. */
export async function send(
  upload: Upload,
  found: Resource | undefined,
  scope: Scope,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const { api, form, image, directory, tuning } = upload
  let resource = found
  // Before it is made: the answer that tells its number may be lost.
  scope.onFailure(`Delete ${form.name} at ${api.url}`, async () => {
    const left = resource ?? (await findResource(api, form, { undo: true }))
    if (left?.files.every((file) => isThis(upload, file))) await remove(api, left.id, true)
  })
  for (let start = 1; ; start++) {
    resource ??= await create(upload)
    const file = resource.files[0]
    let trouble: string | undefined
    const offset = file ? await receivedBytes(api, file) : undefined
    if (file?.complete) return // MAAS had this content, and knows it by its digest
    if (offset === undefined || file?.uploadUri === undefined) {
      trouble = 'MAAS does not say how much it has of an earlier upload'
    } else {
      if (offset > 0) log.info(`Going on at byte ${offset}, where an earlier upload ended`)
      const parts = [api, resource.id, file.uploadUri, image, offset, directory, onBytes] as const
      trouble = await uploadParts(...parts, tuning.partBytes)
    }
    if (trouble === undefined) return
    await remove(api, resource.id)
    resource = undefined
    if (start >= STARTS) {
      throw new BuildError(`Cannot publish ${form.name} at ${api.url}: ${trouble}`, {
        hint: `Was ${image.path} changed meanwhile, or does MAAS lack space? Its logs say more`,
      })
    }
    log.warn(`${trouble}; the upload starts over`)
  }
}

/** Announce the upload; MAAS answers with where its content goes. */
async function create(upload: Upload): Promise<Resource> {
  const { api, form } = upload
  const what = `create the boot resource ${form.name}`
  for (let attempt = 1; ; attempt++) {
    const answer = await api.request('POST', 'boot-resources/', { form })
    if (answer.status === 201 || answer.status === 200) {
      const made = resourceOf(parseJson(what, api.url, answer.text), api.url)
      if (made.files[0] && isThis(upload, made.files[0])) return made
      throw new BuildError(`Cannot ${what}: ${api.url} made one without this image's file`)
    }
    if (!answer.passing || attempt >= ATTEMPTS) throw refused(what, api.url, answer)
    await api.pause(attempt)
    // It may be there, with only the answer lost.
    const made = await findResource(api, form)
    if (made?.files[0] && isThis(upload, made.files[0])) return made
  }
}

/** @param undo also after the operator has interrupted */
async function remove(api: MaasApi, id: number, undo = false): Promise<void> {
  const what = `delete boot resource ${id}`
  for (let attempt = 1; ; attempt++) {
    const answer = await api.request('DELETE', `boot-resources/${id}/`, { undo })
    if ([200, 204, 404].includes(answer.status)) return
    if (!answer.passing || attempt >= (undo ? UNDO_ATTEMPTS : ATTEMPTS)) {
      throw refused(what, api.url, answer)
    }
    await api.pause(attempt, { undo })
  }
}

/** Wait until every region controller has it: only then does MAAS deploy it. */
export async function complete(upload: Upload, say: (note: string) => void): Promise<void> {
  const { api, form, tuning } = upload
  const deadline = performance.now() + (tuning.completeMs ?? COMPLETE_MS)
  const found = await findResource(api, form)
  for (let resource = found; ;) {
    const file = resource?.files[0]
    if (!resource || !file || !isThis(upload, file)) {
      throw new BuildError(`Cannot publish ${form.name}: it is not at ${api.url} after its upload`)
    }
    if (file.complete) return
    if (performance.now() > deadline) {
      const what = `it has all of it, but calls it incomplete (${file.progress} %)`
      throw new BuildError(`Cannot publish ${form.name} at ${api.url}: ${what}`, {
        hint: 'Do all its region controllers run, and have space?',
      })
    }
    say(`MAAS copies it to its region controllers, ${Math.floor(file.progress)} %`)
    await delay(tuning.pauseMs ?? 2000, undefined, { signal: stopSignal() })
    resource = await readResource(api, resource.id)
  }
}
