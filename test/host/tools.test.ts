import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { debian } from '../../distros/debian.ts'
import { HostError } from '../../lib/cli/errors.ts'
import { session } from '../../lib/cli/session.ts'
import { ensureTools, extendPath, findTool, type Tool } from '../../lib/host/tools.ts'
import { bootstrap } from '../../lib/methods/bootstrap.ts'
import { cloudImage } from '../../lib/methods/cloud-image.ts'
import { installer } from '../../lib/methods/installer.ts'
import { hasSubordinateIds } from '../../lib/host/user-namespaces.ts'
import { printed } from '../printed.ts'
import { recipeOf } from '../recipe-of.ts'

const tools: Tool[] = [
  { name: 'alpha', apt: 'alpha-utils', why: 'does alpha' },
  { name: 'beta', apt: 'alpha-utils', why: 'does beta' },
  { name: 'gamma', apt: 'gamma', why: 'makes it fast', optional: true },
]
const has =
  (...names: string[]) =>
  (name: string) =>
    names.includes(name) ? `/bin/${name}` : undefined

/** What is printed, and the error if there is one. */
async function outcome(work: () => Promise<void>): Promise<{ text: string; error?: HostError }> {
  let error: unknown
  const text = await printed(() => work().catch((caught: unknown) => (error = caught)))
  if (error === undefined) return { text }
  assert.instance(error, HostError)
  return { text, error: error as HostError }
}

const ensuring = suite('ensureTools()')
ensuring('is silent when all is there', async () => {
  const { text, error } = await outcome(() =>
    ensureTools(tools, { install: true, root: true, find: has('alpha', 'beta', 'gamma') }),
  )
  assert.is(text, '')
  assert.is(error, undefined)
})
ensuring('without root: one command that fixes it, each package once', async () => {
  const { error } = await outcome(() =>
    ensureTools(tools, { install: true, root: false, find: has('apt-get') }),
  )
  assert.is(error?.exitStatus, 3)
  assert.match(error!.message, /lacks alpha \(does alpha\), beta \(does beta\)/)
  assert.is(error!.hint, 'Run: sudo apt-get install -y --no-install-recommends alpha-utils gamma')
})
ensuring('with --no-install: the same, without sudo for root', async () => {
  const { error } = await outcome(() =>
    ensureTools(tools, { install: false, root: true, find: has('apt-get') }),
  )
  assert.match(error!.hint!, /^Run: apt-get install/)
})
ensuring('says what is slower without an optional tool, and goes on', async () => {
  const { text, error } = await outcome(() =>
    ensureTools(tools, { install: false, root: true, find: has('alpha', 'beta') }),
  )
  assert.is(error, undefined)
  assert.match(text, /Warning: gamma is missing \(package gamma\): it makes it fast/)
})
for (const [name, method] of Object.entries({ bootstrap, installer, 'cloud-image': cloudImage })) {
  ensuring(`names the one program that method ${name} lacks, whichever it is`, async () => {
    const recipe = await recipeOf(debian, ['13', '--method', name])
    const all = method.tools(debian, recipe)
    assert.ok(all.length > 5)
    for (const one of all) {
      const find = (wanted: string) => (wanted === one.name ? undefined : `/bin/${wanted}`)
      const { error, text } = await outcome(() => ensureTools(all, { install: false, find }))
      const said = error ? `${error.message} ${error.hint}` : text
      assert.ok(said.includes(one.name) && said.includes(one.apt), `${one.name}: ${said}`)
      assert.is(error?.exitStatus, one.optional ? undefined : 3)
    }
  })
}
ensuring('as root: says which and why, then installs with apt', async () => {
  session.dryRun = true
  const { text } = await outcome(() =>
    ensureTools(tools, { install: true, root: true, find: has('apt-get', 'alpha') }),
  ).finally(() => (session.dryRun = false))
  assert.match(text, /alpha-utils \(beta\): does beta/)
  assert.match(text, /^DEBIAN_FRONTEND=noninteractive apt-get update/m)
  assert.match(text, /apt-get install -y --no-install-recommends alpha-utils gamma /)
})
/** An apt-get whose first updates fail with these words; resolves to what it was called with. */
async function withApt(updates: string[], work: () => Promise<void>): Promise<string[]> {
  const dir = await mkdtemp(join(tmpdir(), 'apt-'))
  const path = process.env['PATH']
  const script = `#!/bin/sh
echo "$*" >>${dir}/calls
[ "$1" = update ] || exit 0
said=$(sed -n "$(grep -c update ${dir}/calls)p" ${dir}/updates)
[ -z "$said" ] || { echo "$said" >&2; exit 100; }
`
  try {
    await writeFile(join(dir, 'updates'), updates.map((line) => `${line}\n`).join(''))
    await writeFile(join(dir, 'apt-get'), script, { mode: 0o755 })
    process.env['PATH'] = `${dir}:${path}`
    await work()
    return (await readFile(join(dir, 'calls'), 'utf8')).trim().split('\n')
  } finally {
    process.env['PATH'] = path
    await rm(dir, { recursive: true })
  }
}
const LOCKED = 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1 (apt-get)'
ensuring('as root: waits for another apt that has locked the package lists', async () => {
  const calls = await withApt([LOCKED], async () => {
    const { text } = await outcome(() =>
      ensureTools(tools, { install: true, root: true, find: has('apt-get') }),
    )
    assert.match(text, /^Waiting for another apt, which has locked the package lists$/m)
  })
  assert.equal(calls.slice(0, 2), ['update', 'update'])
  assert.match(calls[2]!, /^install -y --no-install-recommends alpha-utils gamma /)
  assert.is(calls.length, 3)
})
ensuring('as root: what else is wrong with an update is said at once', async () => {
  const calls = await withApt(['E: no network'], async () => {
    let message = ''
    await printed(() =>
      ensureTools(tools, { install: true, root: true, find: has('apt-get') }).catch(
        (error: Error) => void (message = error.message),
      ),
    )
    assert.is(message, 'apt-get exited 100: E: no network')
  })
  assert.equal(calls, ['update'])
})
const smartos: Tool[] = [
  { name: 'alpha', apt: 'alpha-utils', why: 'does alpha', pkgsrc: 'alpha-tools' },
  { name: 'beta', apt: 'beta', why: 'is for Linux' },
]
ensuring('on SmartOS: pkgsrc’s packages, of what is for it', async () => {
  const { error } = await outcome(() =>
    ensureTools(smartos, { install: true, root: false, find: has('pkgin') }),
  )
  assert.is(error!.message, 'This machine lacks alpha (does alpha)')
  assert.is(error!.hint, 'Run: pfexec pkgin -y install alpha-tools')
})
ensuring('on SmartOS, as root: installs with pkgin', async () => {
  session.dryRun = true
  try {
    const { text } = await outcome(() =>
      ensureTools(smartos, { install: true, root: true, find: has('pkgin') }),
    )
    assert.match(text, /^pkgin -y install alpha-tools$/m)
    assert.not.match(text, /beta/)
  } finally {
    session.dryRun = false
  }
})
ensuring.run()

const finding = suite('findTool(), extendPath()')
finding('finds programs that can be run, and files by path', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'tools-'))
  await mkdir(join(dir, 'bin'))
  await writeFile(join(dir, 'bin/tool'), '')
  assert.is(findTool('tool', join(dir, 'bin')), undefined, 'not executable')
  await chmod(join(dir, 'bin/tool'), 0o755)
  assert.is(findTool('tool', `/nowhere:${join(dir, 'bin')}`), join(dir, 'bin/tool'))
  assert.is(findTool(join(dir, 'bin/tool'), ''), join(dir, 'bin/tool'))
  assert.is(findTool(join(dir, 'none'), ''), undefined)
  await rm(dir, { recursive: true })
})
finding('adds what Debian keeps from ordinary users', () => {
  const env = { PATH: '/usr/bin:/usr/sbin' }
  extendPath(env)
  assert.is(env.PATH, '/usr/bin:/usr/sbin:/usr/local/sbin:/sbin')
})
finding.run()

const subordinate = suite('hasSubordinateIds()')
subordinate('by name or number, enough of them', () => {
  assert.ok(hasSubordinateIds('alice:100000:65536\n', 'alice', 1000))
  assert.ok(hasSubordinateIds('bob:1:1\n1000:100000:65536\n', 'alice', 1000))
  assert.not(hasSubordinateIds('alice:100000:1000\n', 'alice', 1000))
  assert.not(hasSubordinateIds('', 'alice', 1000))
})
subordinate.run()
