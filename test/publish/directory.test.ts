import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readdirSync, writeFileSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Report } from '../../lib/cli/progress.ts'
import { Scope } from '../../lib/cli/scope.ts'
import { uploadToDirectory } from '../../lib/publish/directory.ts'
import { refusal } from '../refusal.ts'
import { inTemporaryDir } from '../temporary.ts'

const STAMP = 'main-20260508T120000Z-abc'

type Upload = (report?: Report) => Promise<string[]>

async function withBuild(use: (dir: string, upload: Upload) => Promise<void>) {
  await inTemporaryDir(async (dir) => {
    const directory = join(dir, 'bits/debian-12', STAMP)
    await mkdir(directory, { recursive: true })
    await writeFile(join(directory, 'debian-12.zfs.gz'), 'stream')
    await writeFile(join(directory, 'debian-12.imgmanifest'), '{}')
    await use(dir, async (report = () => {}) => {
      const scope = new Scope()
      let failed = true
      try {
        const build = { directory, name: 'debian-12', branch: 'main' }
        const paths = await uploadToDirectory(build, join(dir, 'srv'), scope, report)
        failed = false
        return paths
      } finally {
        await scope.close(failed)
      }
    })
  })
}

const uploading = suite('uploadToDirectory()')
uploading('copies a build with its sums, and points at it', () =>
  withBuild(async (dir, upload) => {
    const there = join(dir, 'srv/debian-12', STAMP)
    assert.equal(await upload(), [
      join(there, 'debian-12.imgmanifest'),
      join(there, 'debian-12.zfs.gz'),
    ])
    assert.equal((await readdir(there)).sort(), [
      'debian-12.imgmanifest',
      'debian-12.zfs.gz',
      'md5sums.txt',
    ])
    // What md5sum says of "{}" and "stream".
    assert.is(
      await readFile(join(there, 'md5sums.txt'), 'utf8'),
      '99914b932bd37a50b983c5e7c90ae93b  debian-12.imgmanifest\nf7b44cfafd5c52223d5498196c8a2e7b  debian-12.zfs.gz\n',
    )
    assert.is(await readFile(join(dir, 'srv/debian-12/main-latest'), 'utf8'), `${STAMP}\n`)
  }),
)
uploading('finds the second time that it is there', () =>
  withBuild(async (dir, upload) => {
    const first = await upload()
    assert.equal(await upload(), first)
    assert.equal((await readdir(join(dir, 'srv/debian-12'))).sort(), ['main-latest', STAMP].sort())
  }),
)
uploading('does not overwrite another build', () =>
  withBuild(async (dir, upload) => {
    await upload()
    await writeFile(join(dir, 'bits/debian-12', STAMP, 'debian-12.zfs.gz'), 'other')
    assert.match(await refusal(upload()), /another build of this stamp is there/)
    const kept = join(dir, 'srv/debian-12', STAMP, 'debian-12.zfs.gz')
    assert.is(await readFile(kept, 'utf8'), 'stream')
  }),
)
uploading('leaves nothing behind when it fails', () =>
  withBuild(async (dir, upload) => {
    const there = join(dir, 'srv/debian-12')
    const copied: string[] = []
    const report: Report = (_, name = '') => {
      assert.is(readdirSync(there).length, 1, 'it has begun')
      copied.push(name)
      if (name.endsWith('.gz')) writeFileSync(join(dir, 'bits/debian-12', STAMP, name), 'otherwise')
    }
    assert.match(
      await refusal(upload(report)),
      /Cannot upload debian-12\.zfs\.gz to .*: the copy differs from the original/,
    )
    assert.equal(copied, ['debian-12.imgmanifest', 'debian-12.zfs.gz'])
    assert.equal(await readdir(there), [])
  }),
)
uploading.run()
