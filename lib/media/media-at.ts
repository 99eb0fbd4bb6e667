/** The vendor's media in another place: a mirror of the folder that has them and their list. */
import type { ReleaseMedia } from '../../distros/distro.ts'
import { UsageError } from '../cli/errors.ts'

/**
 * What is signed stays signed by the vendor's key, wherever it lies.
 *
 * @param place `media`: address of the folder; `sums`: what the list is called there
 * @throws {UsageError} where the list is of no use
 */
export function mediaAt(
  media: ReleaseMedia,
  place: { media?: string | undefined; sums?: string | undefined },
): ReleaseMedia {
  const { media: folder, sums = media.sums } = place
  if (folder === undefined) {
    if (place.sums !== undefined) throw new UsageError('Option --sums needs --media')
    return media
  }
  if (media.linked) {
    throw new UsageError('Option --media: this vendor has its list in another place, take --iso')
  }
  if (!/^[\w.+-]+$/.test(sums)) {
    throw new UsageError(`Cannot use list "${sums}": it is the name of a file in that folder`)
  }
  const { signature } = media
  return {
    ...media,
    roots: [folder.replace(/\/*$/, '/')],
    sums,
    signature:
      typeof signature === 'object' && signature.beside.startsWith(media.sums)
        ? { beside: `${sums}${signature.beside.slice(media.sums.length)}` }
        : signature,
  }
}
