import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { globby } from 'globby'
import { packagesInstalled } from '../../lib/cli/launcher.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

const commands = (await globby('bin/*', { cwd: root, ignore: ['bin/*.*'] })).sort()

const installed = suite('packagesInstalled()')
const lock = (version: string) =>
  JSON.stringify({ packages: { '': {}, 'node_modules/a': { version } } })
for (const [wanted, present, expected, reason] of [
  ['1', '1', true, 'the same'],
  ['2', '1', false, 'older than the lock asks'],
  ['1', undefined, false, 'absent, or an install that was cut off'],
  ['1', '{"packa', false, 'damaged'],
] as const) {
  installed(`${expected} when ${reason}`, async () => {
    const dir = await mkdtemp(join(tmpdir(), 'launcher-'))
    await mkdir(join(dir, 'node_modules'))
    await writeFile(join(dir, 'package-lock.json'), lock(wanted))
    if (present !== undefined) {
      const text = present.startsWith('{') ? present : lock(present)
      await writeFile(join(dir, 'node_modules/.package-lock.json'), text)
    }
    assert.is(packagesInstalled(dir), expected)
    await rm(dir, { recursive: true })
  })
}
installed('does not ask for packages of other platforms', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'launcher-'))
  await mkdir(join(dir, 'node_modules'))
  const packages = { 'node_modules/a-sunos': { version: '1', optional: true } }
  await writeFile(join(dir, 'package-lock.json'), JSON.stringify({ packages }))
  await writeFile(join(dir, 'node_modules/.package-lock.json'), JSON.stringify({ packages: {} }))
  assert.is(packagesInstalled(dir), true)
  await rm(dir, { recursive: true })
})
installed.run()

const launchers = suite('bin/')
launchers('has launchers', () => assert.ok(commands.length > 0))
launchers('are all named in package.json, for npm link', async () => {
  const { bin } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    bin: Record<string, string>
  }
  assert.equal(Object.values(bin).sort(), commands)
  for (const [name, path] of Object.entries(bin)) assert.is(path, `bin/${name}`)
})
launchers('say so where the current directory has been removed', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'launcher-'))
  const line = `cd ${dir} && rmdir ${dir} && exec ${join(root, commands[0]!)} --help`
  const { status, stderr } = spawnSync('sh', ['-c', line], { encoding: 'utf8' })
  assert.is(stderr.split('\n')[0], 'Error: Cannot start: the current directory has been removed')
  assert.is(status, 3)
})
for (const command of commands) {
  launchers(`${command} --help works through a link, from another directory`, async () => {
    const dir = await mkdtemp(join(tmpdir(), 'launcher-'))
    await symlink(join(root, command), join(dir, 'linked'))
    const help = execFileSync(join(dir, 'linked'), ['--help'], { cwd: dir, encoding: 'utf8' })
    assert.match(help, new RegExp(`^Usage: ${command.slice(4)} `))
    await rm(dir, { recursive: true })
  })
  launchers(`${command} refuses an unknown option with status 2`, () => {
    const { status, stderr, stdout } = spawnSync(join(root, command), ['--no-such'], {
      encoding: 'utf8',
    })
    assert.is(status, 2)
    assert.match(stderr, /^Error: Unknown option --no-such\n {2}\S/)
    assert.is(stdout, '')
  })
}
launchers.run()
