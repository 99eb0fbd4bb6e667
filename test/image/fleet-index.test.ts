import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Built } from '../../lib/image/fleet.ts'
import { buildsIn, writeFleetIndex } from '../../lib/image/fleet-index.ts'
import { inTemporaryDir } from '../temporary.ts'

/** A finished build in a directory. */
async function makeBuild(output: string, name: string, stamp: string) {
  const directory = join(output, name, stamp)
  await mkdir(directory, { recursive: true })
  const base = join(directory, `${name}-20260508`)
  for (const ending of ['imgmanifest', 'sbom.cdx.json', 'provenance.json', 'report.html']) {
    await writeFile(`${base}.${ending}`, '')
  }
  await writeFile(`${base}.zfs.gz`, Buffer.alloc(3 * 1024 ** 2))
  return `${base}.report.html`
}
const built = (change: Partial<Built>): Built => ({
  name: 'debian-12',
  status: 0,
  seconds: 64,
  manifest: undefined,
  bytes: undefined,
  report: undefined,
  error: undefined,
  timings: [],
  ...change,
})

const index = suite('writeFleetIndex()')
index('has the builds of the run, how they ended, and a link to each', () =>
  inTemporaryDir(async (dir) => {
    const report = await makeBuild(dir, 'debian-12', 'main-2')
    await makeBuild(dir, 'debian-12', 'main-1')
    await makeBuild(dir, 'debian-12', 'main-3.partial')
    const path = await writeFleetIndex(
      [
        built({ report, bytes: 3 * 1024 ** 2 }),
        built({ name: 'rocky-9', status: 1, error: 'Cannot <fetch>' }),
      ],
      dir,
    )
    const html = await readFile(path, 'utf8')
    assert.match(html, /1 of 2 built/)
    assert.match(
      html,
      /<td><a href="debian-12\/main-2\/debian-12-20260508\.report\.html">debian-12<\/a><\/td><td><span class="ok">ok<\/span><\/td><td class="number">64 s<\/td><td class="number">3\.0 MiB<\/td>/,
    )
    assert.match(html, /rocky-9<\/td><td><span class="failed">failed<\/span>: Cannot &lt;fetch&gt;/)
    assert.match(html, /Earlier builds here[^]*main-1\/debian-12-20260508\.report\.html/)
    assert.not.match(html, /main-3|<script/)
    assert.equal((await readdir(dir)).sort(), ['debian-12', 'index.html'])
  }),
)
index('is there also when every build has failed', () =>
  inTemporaryDir(async (dir) => {
    const path = await writeFleetIndex([built({ status: 1, error: 'x' })], join(dir, 'bits'))
    assert.match(await readFile(path, 'utf8'), /0 of 1 built/)
  }),
)
index.run()

const lying = suite('buildsIn()')
lying('finds the newest of each name first, and images by what they are not', () =>
  inTemporaryDir(async (dir) => {
    assert.equal(await buildsIn(join(dir, 'none')), [])
    for (const stamp of ['main-1', 'main-2']) await makeBuild(dir, 'debian-12', stamp)
    assert.equal(
      (await buildsIn(dir)).map(({ stamp, bytes }) => [stamp, bytes]),
      [
        ['main-2', 3 * 1024 ** 2],
        ['main-1', 3 * 1024 ** 2],
      ],
    )
  }),
)
lying.run()
