import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { delimiter } from 'node:path'
import { HostError } from '../../lib/cli/errors.ts'
import { session } from '../../lib/cli/session.ts'
import { ensureForeign, foreignTools } from '../../lib/host/foreign.ts'
import { printed } from '../printed.ts'
import { standIns } from '../smartos/stand-ins.ts'
import { inTemporaryDir } from '../temporary.ts'

/** Of another architecture than this machine, and what QEMU calls it. */
const [other, qemu] =
  process.arch === 'arm64' ? (['amd64', 'x86_64'] as const) : (['arm64', 'aarch64'] as const)
const own = process.arch === 'arm64' ? 'arm64' : 'amd64'

/** What is printed, and the error if there is one, on a machine that has these programs. */
function outcome(
  programs: (dir: string) => Record<string, string>,
  ensure: { install: boolean; root: boolean },
): Promise<{ text: string; error?: HostError }> {
  return inTemporaryDir(async (dir) => {
    const path = process.env['PATH']
    process.env['PATH'] = [await standIns(dir, programs(dir)), path].join(delimiter)
    let error: unknown
    try {
      const text = await printed(() =>
        ensureForeign(other, ensure).catch((caught: unknown) => (error = caught)),
      )
      if (error === undefined) return { text }
      assert.instance(error, HostError)
      return { text, error: error as HostError }
    } finally {
      process.env['PATH'] = path
    }
  })
}

const NO = 'exit 1'
const YES = 'exit 0'
/** Programs that are there, with a handler that works from when it is enabled. */
const ready = (dir: string, enable = `: >${dir}/enabled`) => ({
  'arch-test': `test -e ${dir}/enabled`,
  [`qemu-${qemu}-static`]: YES,
  'update-binfmts': `echo "$*" >>${dir}/log; ${enable}`,
  mount: `: >${dir}/mounted`,
})
const root = { install: true, root: true }

const ensuring = suite('ensureForeign()')
ensuring('needs nothing for this machine’s own programs', async () => {
  assert.equal(foreignTools(own), [])
  await ensureForeign(own, { install: false, root: false })
})
ensuring('names all that is missing at once', () => {
  const names = (there: boolean) =>
    foreignTools(other, () => (there ? '/bin/x' : undefined)).map(({ name }) => name)
  assert.equal(names(true), ['arch-test'])
  assert.equal(names(false), ['arch-test', `qemu-${qemu}-static`, 'update-binfmts'])
})
ensuring('is silent where they run', async () => {
  const { text, error } = await outcome(() => ({ 'arch-test': YES }), root)
  assert.equal([text, error], ['', undefined])
})
ensuring('as root: enables the handler, and says that it stays', async () => {
  const { text, error } = await outcome((dir) => ready(dir), root)
  assert.is(error, undefined)
  const says = `^Having this machine run programs of ${other}, which stays so: .*update-binfmts --enable qemu-${qemu}$`
  assert.match(text, new RegExp(says, 'm'))
})
for (const ensure of [
  { install: true, root: false },
  { install: false, root: true },
]) {
  ensuring(`changes nothing: ${JSON.stringify(ensure)}`, async () => {
    const { text, error } = await outcome((dir) => ready(dir), ensure)
    assert.is(error?.exitStatus, 3)
    assert.match(error!.message, new RegExp(`does not run programs of ${other}`))
    const sudo = ensure.root ? '' : 'sudo '
    assert.is(error!.hint, `Run: ${sudo}update-binfmts --enable qemu-${qemu}`)
    assert.is(text, '')
  })
}
ensuring('ends with what was said, where it did not help', async () => {
  const refused = 'echo "unable to open /proc/sys/fs/binfmt_misc/register" >&2; exit 2'
  const { error } = await outcome((dir) => ready(dir, refused), root)
  assert.match(error!.message, /: update-binfmts says "unable to open \S+register"$/)
  assert.match(error!.hint!, /^In a container, its host has to run: update-binfmts --enable /)
})
ensuring('with --dry-run prints what it would do', async () => {
  session.dryRun = true
  const { text, error } = await outcome((dir) => ({ ...ready(dir, NO), 'arch-test': NO }), {
    install: true,
    root: false,
  }).finally(() => (session.dryRun = false))
  assert.is(error, undefined)
  assert.match(text, new RegExp(`^update-binfmts --enable qemu-${qemu}$`, 'm'))
})
ensuring.run()
