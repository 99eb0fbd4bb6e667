/** Tarballs for tests, of made-up platforms. */
import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { pack } from 'tar-stream'

export type TarEntry = { name: string; content: Buffer | string } | { name: string; link: string }

/** Write entries as a gzipped tarball. */
export async function writeTarball(path: string, entries: readonly TarEntry[]): Promise<void> {
  const tar = pack()
  const written = pipeline(tar, createGzip({ level: 1 }), createWriteStream(path))
  for (const entry of entries) {
    await new Promise<void>((done, fail) => {
      const then = (error?: Error | null) => (error ? fail(error) : done())
      if ('link' in entry) {
        tar.entry({ name: entry.name, type: 'symlink', linkname: entry.link }, then)
      } else tar.entry({ name: entry.name }, entry.content as string, then)
    })
  }
  tar.finalize()
  await written
}
