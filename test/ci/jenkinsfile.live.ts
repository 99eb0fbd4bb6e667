/**
 * The Jenkinsfile by Groovy 2.4.21, the version that Jenkins has: it compiles, and it says what our own reader
 * says. Jenkins' plugin for declarative pipelines is not here: whether it takes it, Jenkins alone can tell.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { needPackages, root } from '../live.ts'
import { findSections, readJenkinsfile, type Section } from './jenkinsfile.ts'
import { JENKINS, listedImages, textOf } from './pipelines.ts'

needPackages({ groovy: 'groovy', java: 'default-jre-headless' })

type Entry = { name: string; words: unknown[]; inside: Entry[] }
/** What Groovy makes of it, with parameters as somebody filled them in. */
function byGroovy(parameters: Record<string, string>): Entry[] {
  const recorder = fileURLToPath(new URL('declarative.groovy', import.meta.url))
  const java = realpathSync(spawnSync('which', ['java'], { encoding: 'utf8' }).stdout.trim())
  const { status, stdout, stderr } = spawnSync(
    'groovy',
    [recorder, join(root, JENKINS), JSON.stringify(parameters)],
    { encoding: 'utf8', env: { ...process.env, JAVA_HOME: dirname(dirname(java)) } },
  )
  assert.is(status, 0, stdout + stderr)
  return JSON.parse(stdout) as Entry[]
}
const find = (entries: Entry[], name: string): Entry[] =>
  entries.flatMap((entry) => [...(entry.name === name ? [entry] : []), ...find(entry.inside, name)])

const groovy = suite('Jenkinsfile, by Groovy')
const entries = byGroovy({ IMAGES: ' debian-12  rocky-9 ' })

groovy('has the sections that our reader finds', () => {
  type Shape = [string, Shape[]]
  const shapeOf = ({ name, body }: Section): Shape => [name, (body ?? []).map(shapeOf)]
  // Groovy records calls among the arguments, logRotator(...), as entries of their own.
  const shapeOfEntry = ({ name, inside }: Entry): Shape => [
    name,
    inside.filter((entry) => entry.name !== 'logRotator').map(shapeOfEntry),
  ]
  assert.equal(entries.map(shapeOfEntry), readJenkinsfile(textOf(JENKINS)).map(shapeOf))
})
groovy('has the same shell lines', () => {
  const lines = findSections(readJenkinsfile(textOf(JENKINS)), 'sh').map(({ texts }) => texts[0])
  assert.ok(lines.length >= 7)
  assert.equal(
    find(entries, 'sh').map(({ words }) => words[0]),
    lines,
  )
})
groovy('builds the images that the parameter names, or all', () => {
  assert.equal(find(entries, 'expression')[0]?.words, ['debian-12', 'rocky-9'])
  assert.equal(find(byGroovy({ IMAGES: ' ' }), 'expression')[0]?.words, listedImages(JENKINS))
})
groovy.run()
