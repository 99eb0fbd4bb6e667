import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { debian } from '../../distros/debian.ts'
import { Scope } from '../../lib/cli/scope.ts'
import { inspectRecords, namedRecords } from '../../lib/image/inspect-records.ts'
import { writeRecords } from '../../lib/image/records.ts'
import { reportOf } from '../build-report.ts'
import { statementProblems } from '../statement.ts'
import { inTemporaryDir } from '../temporary.ts'

const LIST = [
  'hybrid-images-system|debian|12|deb|.',
  'hybrid-images-package|bash|5.2.15-2+b7|amd64|bash|5.2.15-2|.',
  'hybrid-images-licence|bash|GPL-3+|.',
  'hybrid-images-packages|1|.',
]

/** Records of an image whose machine, or mmdebstrap, has printed this. */
async function recordsOf(dir: string, said: { console?: string; output?: string }) {
  const { recipe, image } = await reportOf({})
  const build = {
    distro: debian,
    recipe,
    scope: new Scope(),
    work: dir,
    seed: 'seed',
    epochSeconds: recipe.stamp.at.getTime() / 1000,
    stages: { directory: undefined, fresh: true },
  }
  const serial = said.console === undefined ? undefined : join(dir, 'x.serial.log')
  if (serial !== undefined) await writeFile(serial, said.console!)
  const made = {
    image: { ...image, path: join(dir, `${recipe.fileName}.zfs.gz`) },
    ...(said.output !== undefined && { output: said.output }),
    materials: [{ name: 'a.iso', digest: { sha512: 'ef'.repeat(64) } }],
  }
  const records = await writeRecords(build, made, serial, [])
  return { ...records, image: made.image, path: join(dir, `${recipe.fileName}.imgmanifest`) }
}

const writing = suite('writeRecords()')
for (const [where, said] of [
  ['a console', { console: LIST.map((line) => `in-target: ${line}\r\n`).join('') }],
  ["mmdebstrap's output", { output: `I: running\n${LIST.join('\n')}\n` }],
] as const) {
  writing(`writes what a list in ${where} tells, and what the manifest has to name`, () =>
    inTemporaryDir(async (dir) => {
      const { tags, list, image, path } = await recordsOf(dir, said)
      assert.is(list!.packages.length, 1)
      for (const kind of ['sbom', 'provenance']) {
        const text = await readFile(join(dir, tags[kind]!))
        assert.is(tags[`${kind}_sha256`], createHash('sha256').update(text).digest('hex'))
      }
      assert.equal(
        (await inspectRecords(namedRecords(tags), path, image)).map(({ state, says }) => [
          state,
          says,
        ]),
        [
          ['matches', '1 packages'],
          ['matches', 'built by urn:hybrid-images:builder:local'],
        ],
      )
      const statement = JSON.parse(await readFile(join(dir, tags['provenance']!), 'utf8')) as {
        predicate: {
          buildDefinition: { resolvedDependencies: { name: string }[] }
          runDetails: { byproducts: { name: string }[] }
        }
      }
      assert.equal(statementProblems(statement), [])
      const { buildDefinition, runDetails } = statement.predicate
      assert.ok(buildDefinition.resolvedDependencies.some(({ name }) => name === 'a.iso'))
      assert.equal(
        runDetails.byproducts.map(({ name }) => name),
        [tags['sbom'], ...('console' in said ? ['x.serial.log'] : [])],
      )
    }),
  )
}
writing('does without a list, or with one that was cut: no bill of materials, all else', () =>
  inTemporaryDir(async (dir) => {
    const { tags } = await recordsOf(dir, { console: LIST.slice(0, -1).join('\n') })
    assert.equal(Object.keys(tags), ['provenance', 'provenance_sha256'])
    assert.equal((await readdir(dir)).sort(), [tags['provenance'], 'x.serial.log'])
  }),
)
writing.run()
