/** What other people's checkers say of our scripts and answers: shellcheck, and cloud-init's own schema. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { globby } from 'globby'
import { needPackages, workDir } from '../live.ts'

const python = (module: string) => `/usr/lib/python3/dist-packages/${module}`
needPackages({
  shellcheck: 'shellcheck',
  '/usr/bin/python3': 'python3',
  ...Object.fromEntries(
    ['yaml', 'jsonschema', 'jinja2', 'requests', 'configobj', 'oauthlib'].map((name) => [
      python(`${name}/__init__.py`),
      `python3-${name}`,
    ]),
  ),
  [python('jsonpatch.py')]: 'python3-jsonpatch',
})

const root = fileURLToPath(new URL('../..', import.meta.url))
const { dir, remove } = await workDir()

const checkers = suite('checkers')
checkers.after(remove)
checkers('shellcheck has nothing to say of the scripts for guests, installers, SMF', async () => {
  const names = await globby(
    ['{cloud-init,distros,lib,sdc-vmtools,test}/**', '!**/*.{ts,cfg,py}'],
    {
      cwd: root,
    },
  )
  const scripts: string[] = []
  for (const name of names) {
    const text = await readFile(join(root, name), 'utf8')
    if (text.startsWith('#!/bin/sh\n')) scripts.push(name)
  }
  for (const wanted of [
    'cloud-init/libvirt/install.sh',
    'distros/el/setup.sh',
    'distros/ubuntu/late',
    'lib/host/network/network.sh',
    'sdc-vmtools/linux/install.sh',
  ]) {
    assert.ok(scripts.includes(wanted), wanted)
  }
  const words = ['-s', 'sh', '-S', 'warning', ...scripts]
  const { status, stdout } = spawnSync('shellcheck', words, { cwd: root, encoding: 'utf8' })
  assert.is(status, 0, stdout)
  const wrong = spawnSync('shellcheck', ['-s', 'sh', '-S', 'warning', '-'], {
    input: '#!/bin/sh\ncd $1\nread x\n',
  })
  assert.is(wrong.status, 1, 'it finds what is wrong')
})
checkers('cloud-init accepts what Ubuntu’s installer is told', async () => {
  await chmod(dir, 0o755) // apt downloads as a user of its own
  execFileSync('apt-get', ['download', 'cloud-init'], { cwd: dir, stdio: 'ignore' })
  const [deb] = (await readdir(dir)).filter((name) => name.endsWith('.deb'))
  execFileSync('dpkg-deb', ['-x', deb!, 'unpacked'], { cwd: dir })
  const schema = (file: string) =>
    spawnSync('/usr/bin/python3', ['-m', 'cloudinit.cmd.main', 'schema', '--config-file', file], {
      env: {
        PYTHONPATH: join(dir, 'unpacked/usr/lib/python3/dist-packages'),
        PATH: '/usr/bin:/bin',
      },
      encoding: 'utf8',
    })
  const files = await globby('test/fixtures/answers/ubuntu-*.cfg', { cwd: root })
  assert.is(files.length, 6)
  for (const file of files) {
    const text = (await readFile(join(root, file), 'utf8')).replace(/^# Kernel: .*\n/, '')
    const path = join(dir, 'user-data')
    await writeFile(path, text)
    const { status, stdout, stderr } = schema(path)
    assert.is(status, 0, `${stdout}${stderr}`)
    await writeFile(path, text.replace('autoinstall:\n', 'autoinstall: 3\nothers:\n'))
    assert.is(schema(path).status, 1, 'it finds what is wrong')
  }
})
checkers.run()
