/**
 * The shell lines of the pipeline files, run: with the environment that their engine gives them, and stand-ins
 * that ask the real commands about their words. An option or a file name that is wrong fails here.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { root } from '../live.ts'
import { inTemporaryDir } from '../temporary.ts'
import { GITHUB, GITLAB, JENKINS, shellLines } from './pipelines.ts'
import { writeStandIns } from './stand-in.ts'

const PUBLISH = '--to imgapi --url http://imgapi.example.com'
/** What each engine has in the environment of a step, for the image debian-12. */
const CASES: { file: string; env: Record<string, string>; calls: string[] }[] = [
  {
    file: JENKINS,
    env: { IMAGE: 'debian-12', TARGET: 'smartos', OPTIONS: '--size 3G', PUBLISH_OPTIONS: PUBLISH },
    calls: [
      'npm run check',
      'build-images validate --offline',
      'create-image-debian 12 fetch --target smartos --size 3G',
      'create-image-debian 12 image --target smartos --size 3G',
      'test-image IMAGE',
      `publish-image IMAGE ${PUBLISH}`,
    ],
  },
  {
    file: GITHUB,
    env: { DISTRO: 'debian', RELEASE: '12', OPTIONS: '--size 3G', ONLY: 'debian-*' },
    calls: [
      'npm run check',
      'build-images validate --offline',
      'build-images --matrix --only debian-*',
      'create-image-debian 12 fetch --size 3G',
      'create-image-debian 12 image --size 3G',
      'test-image IMAGE',
    ],
  },
  {
    file: GITLAB,
    env: { IMAGE: 'debian-12', OPTIONS: '--size 3G' },
    calls: [
      'npm run check',
      'build-images validate --offline',
      'create-image-debian 12 fetch --size 3G',
      'create-image-debian 12 image --size 3G',
      'test-image IMAGE',
    ],
  },
]

/** A checkout of stand-ins; npm is one too, which knows the scripts of package.json. */
async function inCheckout<T>(work: (dir: string) => Promise<T>): Promise<T> {
  return inTemporaryDir(async (dir) => {
    await writeStandIns(dir)
    await mkdir(join(dir, 'path'))
    const asks = `require('${root}package.json').scripts[process.argv[1]] ?? process.exit(1)`
    const npm = `#!/bin/sh\necho "npm $*" >>"$CALLS"\n[ "$1" = run ] && exec node -e "${asks}" "$2"\n`
    await writeFile(join(dir, 'path/npm'), npm)
    await chmod(join(dir, 'path/npm'), 0o755)
    return work(dir)
  })
}

/** One line as the engines start it: in a shell that ends at the first failure. */
function runLine(line: string, dir: string, env: Record<string, string>) {
  const child = spawn('bash', ['-eo', 'pipefail', '-c', line], {
    cwd: dir,
    env: {
      ...process.env,
      ...env,
      PATH: `${join(dir, 'path')}:${process.env['PATH']}`,
      CALLS: join(dir, 'calls'),
      GITHUB_OUTPUT: join(dir, 'output'),
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr.on('data', (data: Buffer) => (stderr += data))
  return new Promise<{ status: number | null; stderr: string }>((done) => {
    child.on('close', (status) => done({ status, stderr }))
  })
}

const steps = suite('shell lines')
for (const { file, env, calls } of CASES) {
  steps(`${file}: each runs, and these are the commands`, () =>
    inCheckout(async (dir) => {
      for (const line of shellLines(file)) {
        const { status, stderr } = await runLine(line, dir, env)
        assert.is(status, 0, `${line}\n${stderr}`)
      }
      const made = await readFile(join(dir, 'calls'), 'utf8')
      const found = made.trimEnd().replaceAll(/\S+\.imgmanifest/g, 'IMAGE')
      assert.equal(found.split('\n'), calls)
    }),
  )
}
steps('GitHub: the matrix is one line of JSON, as an output has to be', () =>
  inCheckout(async (dir) => {
    const line = shellLines(GITHUB).find((one) => one.includes('--matrix'))!
    await runLine(line, dir, { ONLY: 'debian-12,rocky-9' })
    const [output, ...more] = (await readFile(join(dir, 'output'), 'utf8')).trimEnd().split('\n')
    assert.equal(more, [])
    const { include } = JSON.parse(output!.replace(/^rows=/, '')) as { include: { name: string }[] }
    assert.equal(
      include.map(({ name }) => name),
      ['debian-12', 'rocky-9'],
    )
  }),
)
steps('GitHub: a pattern that means nothing fails the step, and gives no matrix', () =>
  inCheckout(async (dir) => {
    const line = shellLines(GITHUB).find((one) => one.includes('--matrix'))!
    const { status, stderr } = await runLine(line, dir, { ONLY: 'debain-*' })
    assert.is(status, 2)
    assert.match(stderr, /No image matches "debain-\*"/)
    assert.not.ok(existsSync(join(dir, 'output')))
  }),
)
for (const [what, from, to] of [
  ['option', '--target', '--targett'],
  ['stage', ' fetch ', ' fetsh '],
  ['command', 'create-image-', 'create-images-'],
  ['file', '$(cat image.path)', '$(cat image.paths)'],
] as const) {
  steps(`a wrong ${what} fails`, () =>
    inCheckout(async (dir) => {
      const line = shellLines(JENKINS).find((one) => one.includes(from))!
      const { status, stderr } = await runLine(line.replace(from, to), dir, CASES[0]!.env)
      assert.is.not(status, 0, stderr)
    }),
  )
}
steps.run()
