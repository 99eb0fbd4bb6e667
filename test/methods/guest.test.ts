import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Guest, STAGING, stagedGuest } from '../../lib/methods/guest.ts'
import { inTemporaryDir } from '../temporary.ts'

const guest: Guest = {
  files: [{ from: '/p/x.cfg', to: '/etc/x y/x.cfg' }],
  directories: ['/p/tools'],
  setup: [{ path: '/p/setup.sh', name: 'setup.sh', env: { TITLE: "It's (1)" } }],
  customize: { path: '/o/my script.sh', name: 'my script.sh', env: { TITLE: 'own' } },
  finish: [{ path: '/p/clean-up.sh', name: 'clean-up.sh', env: {} }],
}

/**
 * Run the script as if `dir` were the new system's root: absolute paths lead there, and the programs
 * that look at disks are stand-ins.
 */
async function runInside(dir: string, script: string) {
  const bin = join(dir, 'bin')
  await mkdir(bin, { recursive: true })
  const stubs = {
    findmnt: 'echo "source-of-$4"',
    blkid: 'echo "uuid-of-$5"',
    fstrim: `echo trimmed >>${dir}/log`,
  }
  for (const [name, body] of Object.entries(stubs)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${body}\n`)
    await chmod(join(bin, name), 0o755)
  }
  const moved = script.replaceAll(STAGING, `${dir}${STAGING}`).replaceAll(" '/etc", ` '${dir}/etc`)
  return spawnSync('sh', ['-c', moved], {
    env: { PATH: `${bin}:${process.env['PATH']}` },
    encoding: 'utf8',
  })
}

async function stage(dir: string, bodies: Record<string, string>) {
  const { files, script } = stagedGuest(guest, { http_proxy: 'http://10.0.2.2:3128' })
  for (const { to } of files) {
    const path = join(dir, STAGING, to)
    if (to === 'tools') await mkdir(path, { recursive: true })
    else {
      await mkdir(join(path, '..'), { recursive: true })
      await writeFile(path, bodies[to] ?? '')
    }
  }
  return script
}

const staged = suite('stagedGuest()')
staged('names every file once, scripts in the order in which they run', () => {
  assert.equal(stagedGuest(guest).files, [
    { from: '/p/x.cfg', to: 'files/0' },
    { from: '/p/tools', to: 'tools' },
    { from: '/p/setup.sh', to: 'scripts/0' },
    { from: '/o/my script.sh', to: 'scripts/1' },
    { from: '/p/clean-up.sh', to: 'scripts/2' },
  ])
})
staged('its script puts files in place, runs all with their variables, and takes itself away', () =>
  inTemporaryDir(async (dir) => {
    const say = (name: string) =>
      `#!/bin/sh\necho "${name} $TITLE $ROOT_UUID $ESP_UUID \${http_proxy:-none}" >>${dir}/log\n`
    const script = await stage(dir, {
      'files/0': 'content',
      'scripts/0': say('setup'),
      'scripts/1': say('own'),
      'scripts/2': say('clean'),
    })
    const { status, stderr } = await runInside(dir, script)
    assert.is(status, 0, stderr)
    const ids = 'uuid-of-source-of-/ uuid-of-source-of-/boot/efi'
    assert.is(
      await readFile(join(dir, 'log'), 'utf8'),
      `setup It's (1) ${ids} none\nown own ${ids} http://10.0.2.2:3128\nclean  ${ids} none\ntrimmed\n`,
    )
    assert.is(await readFile(join(dir, 'etc/x y/x.cfg'), 'utf8'), 'content')
    assert.is(spawnSync('test', ['-e', `${dir}${STAGING}`]).status, 1)
  }),
)
staged('its script stops at the first that fails, and says which', () =>
  inTemporaryDir(async (dir) => {
    const script = await stage(dir, {
      'scripts/0': '#!/bin/sh\nexit 0\n',
      'scripts/1': '#!/bin/sh\necho no such thing >&2\nexit 7\n',
      'scripts/2': `#!/bin/sh\necho ran >${dir}/log\n`,
    })
    const { status, stdout } = await runInside(dir, script)
    assert.is(status, 1)
    assert.match(
      stdout,
      /^hybrid-images: my_script\.sh begins\nhybrid-images: my_script\.sh exited with status 7$/m,
    )
    assert.is(spawnSync('test', ['-e', join(dir, 'log')]).status, 1)
  }),
)
staged('its script can be read by a POSIX shell', () => {
  execFileSync('sh', ['-n', '-c', stagedGuest(guest).script])
})
staged.run()
