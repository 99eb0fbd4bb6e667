/** What other people's checkers say of our scripts and answers: shellcheck, and cloud-init's own schema. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { globby } from 'globby'
import { userData } from '../../lib/methods/cloud-seed.ts'
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
/** Run cloud-init's modules, without installing it. */
const cloudInit = (...words: string[]) =>
  spawnSync('/usr/bin/python3', words, {
    env: { PYTHONPATH: join(dir, 'unpacked/usr/lib/python3/dist-packages'), PATH: '/usr/bin:/bin' },
    encoding: 'utf8',
  })
const schema = (file: string) =>
  cloudInit('-m', 'cloudinit.cmd.main', 'schema', '--config-file', file)
checkers.before(async () => {
  await chmod(dir, 0o755) // apt downloads as a user of its own
  execFileSync('apt-get', ['download', 'cloud-init'], { cwd: dir, stdio: 'ignore' })
  const [deb] = (await readdir(dir)).filter((name) => name.endsWith('.deb'))
  execFileSync('dpkg-deb', ['-x', deb!, 'unpacked'], { cwd: dir })
})
checkers('cloud-init accepts what Ubuntu’s installer is told', async () => {
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
checkers('cloud-init accepts the settings that images have', async () => {
  const install = await readFile(join(root, 'cloud-init/maas/install.sh'), 'utf8')
  const [, user] = /<<USER\n([^]*?)\nUSER\n/.exec(install)!
  const texts = [user!.replace('$CLOUD_USER', 'debian')]
  for (const name of await globby('cloud-init/*.cfg', { cwd: root })) {
    texts.push(await readFile(join(root, name), 'utf8'))
  }
  assert.ok(texts.length >= 3)
  for (const text of texts) {
    const path = join(dir, 'settings')
    // No users at all is written so, says the manual; the schema of 22.4 wants one.
    await writeFile(path, `#cloud-config\n${text.replace(/^users: \[\]$/m, '')}\n`)
    const { status, stdout, stderr } = schema(path)
    assert.is(status, 0, `${text}\n${stdout}${stderr}`)
  }
})
checkers(
  'cloud-init takes the seed of a cloud image apart, the operator’s part included',
  async () => {
    const script = `
import email, sys
from cloudinit import user_data
from cloudinit.helpers import Paths
processor = user_data.UserDataProcessor(Paths({}))
for part in processor.process(open(sys.argv[1]).read()).walk():
    if not part.is_multipart():
        print(part.get_content_type(), part.get_filename(), part.get_payload(decode=True).decode().split('\\n')[0])
`
    const own = '#cloud-config\npackages: [tmux]\n'
    const mime = [
      'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="own"\n\n--own',
      'Content-Type: text/cloud-config\nContent-Disposition: attachment; filename="a"\n',
      '#cloud-config\n--own--\n',
    ].join('\n')
    for (const [text, expected] of [
      [undefined, ''],
      [own, 'text/cloud-config part-1 #cloud-config\n'],
      ['#!/bin/sh\ntrue\n', 'text/x-shellscript part-1 #!/bin/sh\n'],
      ['#cloud-boothook\ntrue\n', 'text/cloud-boothook part-1 #cloud-boothook\n'],
      [mime, 'text/cloud-config a #cloud-config\n'],
    ] as const) {
      const path = join(dir, 'seed')
      await writeFile(path, userData(text))
      const { status, stdout, stderr } = cloudInit('-c', script, path)
      assert.is(status, 0, stderr)
      assert.is(stdout, `text/x-shellscript part-0 #!/bin/sh\n${expected}`)
    }
  },
)
checkers.run()
