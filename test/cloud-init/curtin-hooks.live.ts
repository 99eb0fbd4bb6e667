/**
 * What curtin runs of an image, with a stand-in of curtin's modules that takes what the real ones take and
 * notes what it was asked for.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { needPackages } from '../live.ts'
import { inTemporaryDir } from '../temporary.ts'

needPackages({ python3: 'python3' })

const hook = fileURLToPath(new URL('../../cloud-init/maas/curtin-hooks', import.meta.url))

/** Signatures as in curtin of 2021 and of today. */
const CURTIN = {
  '__init__.py': '',
  'config.py': `
import json
def load_command_config(args, state):
    if hasattr(args, 'config') and args.config:
        return args.config
    with open(state['config']) as file:
        return json.load(file)
`,
  'util.py': `
import os
def load_command_environment(env=os.environ, strict=False):
    names = {'config': 'CONFIG', 'target': 'TARGET_MOUNT_POINT', 'network_config': 'OUTPUT_NETWORK_CONFIG'}
    return {key: env.get(name) for key, name in names.items()}
def get_dd_images(sources):
    if type(sources) is not dict:
        return []
    return [one for one in sources.values() if type(one) is dict and one['type'].startswith('dd-')]
`,
  'commands/__init__.py': '',
  'commands/curthooks.py': `
import json, os
def note(*words):
    with open(os.environ['LOG'], 'a') as log:
        log.write(json.dumps(words) + '\\n')
def builtin_curthooks(cfg, target, state):
    note('builtin', cfg.get('kernel'), target)
    if os.environ.get('FAIL'):
        raise RuntimeError('no boot loader')
def handle_cloudconfig(cfg, base_dir=None):
    note('cloudconfig', cfg, base_dir)
def do_apt_config(cfg, target):
    note('apt', target)
def apply_networking(target, state):
    note('network', target, state['network_config'])
`,
}

type Case = { cfg: object; files?: Record<string, string>; env?: Record<string, string> }

/** What the hook asks of curtin. */
async function deploy(dir: string, { cfg, files = {}, env = {} }: Case) {
  for (const [name, text] of Object.entries(CURTIN)) {
    await mkdir(join(dir, 'curtin/commands'), { recursive: true })
    await writeFile(join(dir, 'curtin', name), text)
  }
  const target = join(dir, 'target')
  await mkdir(join(target, 'curtin'), { recursive: true })
  await mkdir(join(target, 'etc/apt'), { recursive: true })
  await copyFile(hook, join(target, 'curtin/curtin-hooks'))
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(target, 'curtin', name), text)
  }
  await writeFile(join(dir, 'config'), JSON.stringify(cfg))
  const { status, stderr } = spawnSync(join(target, 'curtin/curtin-hooks'), {
    encoding: 'utf8',
    env: {
      PATH: process.env['PATH'],
      PYTHONPATH: dir,
      PYTHONDONTWRITEBYTECODE: '1',
      LOG: join(dir, 'log'),
      CONFIG: join(dir, 'config'),
      TARGET_MOUNT_POINT: target,
      OUTPUT_NETWORK_CONFIG: '/network',
      ...env,
    },
  })
  const log = await readFile(join(dir, 'log'), 'utf8').catch(() => '')
  const asked = log
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as unknown[])
  return { status, stderr, asked, target, left: existsSync(join(target, 'curtin')) }
}

const tgz = { '0': { type: 'tgz', uri: 'http://maas/x' } }
const ddgz = { '0': { type: 'dd-gz', uri: 'http://maas/x' } }
const kernel = { package: 'linux-generic-hwe-22.04', mapping: { a: 1 }, install: false }

const hooks = suite('curtin-hooks')
hooks('has curtin do all of its own for a root tar, with the kernel that MAAS chose', () =>
  inTemporaryDir(async (dir) => {
    const { status, stderr, asked, target, left } = await deploy(dir, {
      cfg: { kernel, sources: tgz },
    })
    assert.is(status, 0, stderr)
    assert.equal(asked, [['builtin', kernel, target]])
    assert.not(left)
  }),
)
for (const [files, expected] of [
  [{ CUSTOM_KERNEL: 'linux-lowlatency' }, 'linux-lowlatency'],
  [{ CUSTOM_KERNEL: 'linux-lowlatency\n', DEFAULT_KERNEL: 'x' }, 'linux-lowlatency'],
  [{ DEFAULT_KERNEL: 'linux-image-amd64' }, 'linux-image-amd64'],
] as [Record<string, string>, string][]) {
  for (const given of [kernel, null, undefined]) {
    hooks(
      `${Object.keys(files)}: ${expected}, whatever MAAS says of kernels (${typeof given})`,
      () =>
        inTemporaryDir(async (dir) => {
          const { asked, target } = await deploy(dir, {
            cfg: { kernel: given, sources: tgz },
            files,
          })
          const mapping = given && { mapping: { a: 1 } }
          assert.equal(asked, [['builtin', { ...mapping, package: expected }, target]])
        }),
    )
  }
}
hooks('tells a disk of MAAS and of the network, and leaves its kernel and boot loader alone', () =>
  inTemporaryDir(async (dir) => {
    const cloudconfig = { 'maas-datasource': { content: 'datasource_list: [MAAS]' } }
    const cfg = { cloudconfig, kernel, sources: ddgz }
    const { status, stderr, asked, target, left } = await deploy(dir, { cfg })
    assert.is(status, 0, stderr)
    assert.equal(asked, [
      ['cloudconfig', cloudconfig, join(target, 'etc/cloud/cloud.cfg.d')],
      ['apt', target],
      ['network', target, '/network'],
    ])
    assert.not(left)
  }),
)
hooks('fails when curtin does, and when it does not say where the system is', () =>
  inTemporaryDir(async (dir) => {
    const cfg = { sources: tgz }
    const { status, stderr, left } = await deploy(dir, { cfg, env: { FAIL: '1' } })
    assert.is(status, 1)
    assert.match(stderr, /no boot loader/)
    assert.ok(left)
    const lost = await deploy(dir, { cfg, env: { TARGET_MOUNT_POINT: '' } })
    assert.is(lost.status, 1)
    assert.match(lost.stderr, /does not say where the system is/)
  }),
)
hooks.run()
