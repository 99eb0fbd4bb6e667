import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { distros } from '../../distros/all.ts'
import type { Distro } from '../../distros/distro.ts'
import { UsageError } from '../../lib/cli/errors.ts'
import { columns, defaultJobs, fleetOf, selectRows } from '../../lib/image/fleet.ts'
import { validateRelease } from '../../lib/image/validate.ts'
import { inTemporaryDir } from '../temporary.ts'

const rows = fleetOf(distros)
const names = (words: string[], globs: string[] = []) =>
  selectRows(rows, words, globs).map(({ name }) => name)

const selecting = suite('selectRows()')
selecting('takes all, names, patterns, or both', () => {
  assert.is(names([]).length, rows.length)
  assert.equal(names(['debian-12']), ['debian-12'])
  assert.equal(names([], ['rocky-?', 'debian-11']), ['debian-11', 'rocky-8', 'rocky-9'])
  assert.equal(names(['rocky-10'], ['*-stream*']), [
    'centos-stream9',
    'centos-stream10',
    'rocky-10',
  ])
})
selecting('takes a point for a point', () => {
  assert.throws(() => names([], ['debian.12']), /No image matches "debian\.12"/)
})
selecting('refuses what means nothing, and says what there is', () => {
  for (const wrong of [() => names(['debian-99']), () => names([], ['suse-*'])]) {
    assert.throws(wrong, (error: Error) => {
      return (
        error instanceof UsageError && /known are almalinux-8, .*ubuntu-24\.04$/.test(error.message)
      )
    })
  }
})
selecting.run()

const jobs = suite('defaultJobs()')
jobs('is what cores and memory allow, one at least', () => {
  const gib = 1024 ** 3
  assert.is(defaultJobs(16, 64 * gib), 8)
  assert.is(defaultJobs(16, 9 * gib), 2)
  assert.is(defaultJobs(1, 2 * gib), 1)
})
jobs.run()

const table = suite('columns()')
table('are as wide as they have to be', () => {
  assert.is(
    columns([
      ['A', 'B'],
      ['long', 'x'],
    ]),
    'A     B\nlong  x',
  )
})
table.run()

const validating = suite('validateRelease()')
validating('has nothing to say of what is here', async () => {
  assert.equal(await validateRelease(distros[0]!, '9', false), [])
})
validating('names what is wrong with a definition of somebody’s own', async () => {
  const [rocky] = distros.filter(({ name }) => name === 'rocky')
  const broken = (change: Partial<Distro['installer']>): Distro => ({
    ...rocky!,
    installer: { ...rocky!.installer, ...change },
  })
  const answers = [{ to: 'ks.cfg', from: ['el/plain.cfg'], mode: 0o644 as const }]
  const lacking = await validateRelease(broken({ answers }), '9', false)
  assert.ok(lacking.includes('plain, ks.cfg: line 0: rootpw is missing'), lacking.join('\n'))
  const unknown = await validateRelease(broken({ kernelArguments: ['x=@NOTHING@'] }), '9', false)
  assert.match(unknown[0]!, /^plain: Unknown token @NOTHING@/)
})
validating('takes an imaginary distro: a definition and a file of answers', async () => {
  // A file that is here already serves for its answers.
  const [rocky] = distros.filter(({ name }) => name === 'rocky')
  const imaginary: Distro = {
    ...rocky!,
    name: 'imaginary',
    title: 'Imaginary Linux',
    environment: { EFI_VENDOR: 'imaginary' },
    releases: [{ ...rocky!.releases[1]!, version: '1' }],
  }
  assert.equal(await validateRelease(imaginary, '1', false), [])
  assert.equal(
    fleetOf([imaginary]).map(({ name, title }) => [name, title]),
    [['imaginary-1', 'Imaginary Linux 1']],
  )
})
validating.run()

const command = fileURLToPath(new URL('../../bin/build-images', import.meta.url))
const run = (args: string[], cwd: string) =>
  spawnSync(command, args, { encoding: 'utf8', cwd, env: { ...process.env, HOME: cwd } })

const building = suite('build-images')
building('lists every release that there is a command for', () =>
  inTemporaryDir(async (dir) => {
    const { status, stdout } = run(['list'], dir)
    assert.is(status, 0)
    for (const { name, distro } of rows) {
      assert.match(stdout, new RegExp(`^${name} `, 'm'))
      assert.is(spawnSync('test', ['-x', join(command, '..', `create-image-${distro}`)]).status, 0)
    }
    const { include } = JSON.parse(run(['--matrix', '--only', 'debian-*'], dir).stdout) as {
      include: { name: string; release: string }[]
    }
    assert.equal(
      include.map(({ name, release }) => [name, release]),
      [
        ['debian-11', '11'],
        ['debian-12', '12'],
        ['debian-13', '13'],
      ],
    )
  }),
)
building('goes on after a build that failed, and says so at the end', () =>
  inTemporaryDir(async (dir) => {
    // --iso is for an installer, so that Debian's default method refuses it.
    const words = ['debian-12', 'rocky-9', '--jobs', '2', '--', '--dry-run', '--iso', 'a.iso']
    const { status, stdout, stderr } = run(words, dir)
    assert.is(status, 1)
    assert.match(stdout, /^debian-12 +FAILED +\d+ s +Option --iso needs --method installer$/m)
    assert.match(stdout, /^rocky-9 +ok +\d+ s$/m)
    assert.match(stderr, /^Error: 1 of 2 builds failed: debian-12$/m)
  }),
)
building('prints its results as JSON', () =>
  inTemporaryDir(async (dir) => {
    const { stdout } = run(['debian-12', '--json', '--', '--size', 'ten'], dir)
    const [result] = JSON.parse(stdout) as { name: string; status: number; error: string }[]
    assert.is(result!.name, 'debian-12')
    assert.is(result!.status, 2)
    assert.match(result!.error, /^Cannot read size "ten"/)
  }),
)
for (const [place, redirection] of [
  ['events.jsonl', ''],
  ['3', '3>events.jsonl'],
  ['3', '3> >(cat >events.jsonl)'],
] as const) {
  const how = `--events ${place} ${redirection}`.trim()
  building(`tells the events of every build, each with its name: ${how}`, () =>
    inTemporaryDir(async (dir) => {
      const words = `debian-12 debian-13 --events ${place} -- --customize /no/such.sh`
      const script = `${command} ${words} ${redirection}; status=$?; sleep 0.2; exit $status`
      const { status } = spawnSync('bash', ['-c', script], { cwd: dir })
      assert.is(status, 1)
      const events = (await readFile(join(dir, 'events.jsonl'), 'utf8'))
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { build?: string; event: string; message?: string })
      for (const build of ['debian-12', 'debian-13']) {
        const own = events.filter((one) => one.build === build)
        assert.equal(
          own.map(({ event }) => event),
          ['start', 'error', 'end'],
        )
        assert.match(own[1]!.message!, /^Cannot read customize script/)
      }
      assert.equal(
        events.filter(({ build }) => build === undefined).map(({ event }) => event),
        ['start', 'result', 'error', 'end'],
      )
    }),
  )
}
building('refuses unknown names', () =>
  inTemporaryDir(async (dir) => {
    const { status, stderr } = run(['suse-15'], dir)
    assert.is(status, 2)
    assert.match(stderr, /^Error: Unknown image "suse-15": known are almalinux-8/)
  }),
)
building.run()
