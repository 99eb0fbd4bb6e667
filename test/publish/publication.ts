/** Made-up images to publish. */
import { createHash, randomFillSync } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { Scope } from '../../lib/cli/scope.ts'
import { formatOfName } from '../../lib/image/formats.ts'
import type { Publication, Published, Publisher } from '../../lib/publish/publisher.ts'

export async function digestsOf(path: string) {
  const content = await readFile(path)
  const digest = (algorithm: string) => createHash(algorithm).update(content).digest('hex')
  return { sha1: digest('sha1'), sha256: digest('sha256') }
}

/** A file of random bytes, as an image that is called `golden`. */
export async function publicationOf(path: string, bytes: number): Promise<Publication> {
  await writeFile(path, randomFillSync(Buffer.alloc(bytes)))
  return {
    name: 'golden',
    version: '20261129',
    image: { path, format: formatOfName(path), bytes, ...(await digestsOf(path)) },
    manifest: undefined,
    others: [],
    stamp: undefined,
  }
}

/** Hand it over, and undo as a command does. */
export async function publish(
  publisher: Publisher,
  publication: Publication,
  notes: string[] = [],
): Promise<Published> {
  const scope = new Scope()
  let failed = true
  try {
    const published = await publisher.publish(publication, scope, (_, note) => {
      if (note !== undefined) notes.push(note)
    })
    failed = false
    return published
  } finally {
    await scope.close(failed)
  }
}
