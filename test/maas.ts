/** Images for MAAS as an operator builds them, with a real mirror, below one directory. */
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { mkdir, readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { machineMirrors, run } from './live.ts'

export type MaasImage = {
  image: { path: string; bytes: number; sha256: string }
  handOver: string[]
}

/** @returns what builds one there */
export async function maasBuilder(dir: string) {
  const tmp = join(dir, 'tmp')
  await mkdir(tmp)
  const cache = join(dir, 'cache')
  const common = ['--output', join(dir, 'bits'), '--cache', cache, '--json', ...machineMirrors()]
  return async (...words: string[]): Promise<MaasImage> => {
    const result = await run('create-image-debian', ['12', ...words, ...common], {
      env: { TMPDIR: tmp },
    })
    assert.is(result.status, 0)
    assert.equal(await readdir(tmp), [])
    return JSON.parse(result.stdout) as MaasImage
  }
}

/** The list beside an image is right, and nothing is beside it but the records of the build. */
export async function checkFiles({ image, handOver }: MaasImage, name: RegExp) {
  assert.match(basename(image.path), name)
  const folder = dirname(image.path)
  const beside = await readdir(folder)
  assert.equal(
    beside
      .filter((file) => !/\.(lock\.json|provenance\.json|report\.html|sbom\.cdx\.json)$/.test(file))
      .sort(),
    [basename(image.path), `${basename(image.path)}.sha256`],
  )
  assert.is(beside.length, 6)
  execFileSync('sha256sum', ['--quiet', '-c', `${image.path}.sha256`], { cwd: folder })
  assert.is((await stat(image.path)).size, image.bytes)
  assert.ok(handOver[0]!.endsWith(`content@=${image.path}`), handOver[0])
}
