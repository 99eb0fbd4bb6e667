/** setup-build-zone against a stand-in of a SmartOS compute node: see ../smartos/node.sh. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inTemporaryDir } from '../temporary.ts'

const command = fileURLToPath(new URL('../../bin/setup-build-zone', import.meta.url))
const program = fileURLToPath(new URL('../smartos/node.sh', import.meta.url))
const UUID = '3a4f6e1c-1d7b-4d0e-a3d4-5b1f2c3d4e5f'

const fresh = {
  zone: 'global',
  uuid: UUID,
  brand: 'joyent',
  state: 'running',
  image: 'base-64-lts 22.4.0',
  nics: '90:b8:d0:11:22:33',
  spoofing: 'false',
  config: 'create -b\nset brand=joyent\nset limitpriv=default',
  'in-force': '',
  packages: '',
  processes: '',
}
type State = typeof fresh

type Outcome = { status: number | null; stdout: string; stderr: string; did: string[] }
type Node = {
  run: (words: string[], fail?: string) => Promise<Outcome>
  read: (name: keyof State) => Promise<string>
}
/** A compute node; `run` gives what the command said, and what it had others do. */
async function onNode(change: Partial<State>, use: (node: Node) => Promise<void>) {
  await inTemporaryDir(async (dir) => {
    const bin = join(dir, 'bin')
    const state = join(dir, 'state')
    await mkdir(bin)
    await mkdir(join(state, 'datasets'), { recursive: true })
    for (const name of ['zonename', 'vmadm', 'imgadm', 'zfs', 'zonecfg', 'zlogin', 'pgrep']) {
      await symlink(program, join(bin, name))
    }
    await symlink(process.execPath, join(bin, 'node'))
    for (const [name, text] of Object.entries({ ...fresh, ...change })) {
      await writeFile(join(state, name), text === '' ? '' : `${text}\n`)
    }
    const run = async (words: string[], fail = '') => {
      await writeFile(join(state, 'log'), '')
      const PATH = `${bin}:/usr/bin:/bin`
      const env = { ...process.env, PATH, SMARTOS_STATE: state, SMARTOS_FAIL: fail }
      const { status, stdout, stderr } = spawnSync(command, words, { env, encoding: 'utf8' })
      const log = (await readFile(join(state, 'log'), 'utf8')).trim().split('\n')
      const asks = / (get|list|export|svcs|ls) ?|^(zonename|pgrep)/
      return { status, stdout, stderr, did: log.filter((line) => line !== '' && !asks.test(line)) }
    }
    const read = async (name: keyof State) => (await readFile(join(state, name), 'utf8')).trim()
    await use({ run, read })
  })
}

const QEMU_STEPS = [
  `zfs create -o zoned=on -o mountpoint=/data zones/${UUID}/data`,
  `zonecfg -z ${UUID} add dataset; set name=zones/${UUID}/data; end`,
  `zonecfg -z ${UUID} add fs; set dir=/smartdc; set special=/smartdc; set type=lofs; add options ro; end`,
  `zonecfg -z ${UUID} add device; set match=kvm; end`,
  `vmadm stop ${UUID}`,
  `vmadm start ${UUID}`,
  `zlogin ${UUID} /opt/local/bin/pkgin -y update`,
  `zlogin ${UUID} /opt/local/bin/pkgin -y install git-base gnupg2 curl xorriso pigz nodejs`,
]

const zones = suite('setup-build-zone')
zones('prepares a zone for QEMU, and then has nothing to do', () =>
  onNode({}, async ({ run, read }) => {
    const { status, did, stderr } = await run([UUID])
    assert.is(status, 0, stderr)
    assert.equal(did, QEMU_STEPS)
    assert.match(stderr, /is ready: zlogin/)
    assert.not.match(stderr, /trusted tenants/)
    assert.is(await read('state'), 'running')
    const again = await run([UUID])
    assert.equal([again.status, again.did], [0, []])
    assert.match(again.stderr, /has all that it needs/)
  }),
)
zones('prints the commands with --dry-run, and does nothing', () =>
  onNode({}, async ({ run, read }) => {
    const before = await read('config')
    const { status, stdout, did } = await run([UUID, '--dry-run'])
    assert.equal([status, did], [0, []])
    assert.equal(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.replaceAll("'", '')),
      QEMU_STEPS,
    )
    assert.is(await read('config'), before)
  }),
)
zones('adds bhyve and retro to what is there', () =>
  onNode({}, async ({ run, read }) => {
    await run([UUID])
    const { status, did, stderr } = await run([UUID, '--hypervisor', 'both', '--retro'])
    assert.is(status, 0, stderr)
    assert.match(stderr, /Warning: bhyve's devices .* trusted tenants only/)
    assert.equal(did, [
      `zonecfg -z ${UUID} add device; set match=/dev/viona; end`,
      `zonecfg -z ${UUID} add device; set match=/dev/vmm*; end`,
      `zonecfg -z ${UUID} set limitpriv=default,proc_clock_highres,sys_dl_config`,
      `zonecfg -z ${UUID} set fs-allowed=pcfs,ufs`,
      `vmadm update ${UUID}`,
      `vmadm stop ${UUID}`,
      `vmadm start ${UUID}`,
      `zlogin ${UUID} /opt/local/bin/pkgin -y update`,
      `zlogin ${UUID} /opt/local/bin/pkgin -y install isc-dhcpd`,
    ])
    assert.is(await read('spoofing'), 'true')
  }),
)
for (const fail of [
  'zfs create',
  `zonecfg -z ${UUID} add fs`,
  'vmadm stop',
  'vmadm start',
  `zlogin ${UUID} /opt/local/bin/pkgin -y install`,
]) {
  zones(`is completed by the next run when "${fail}" is where the power fails`, () =>
    onNode({}, async ({ run }) => {
      const cut = await run([UUID], fail)
      assert.is.not(cut.status, 0)
      const { status, stderr } = await run([UUID])
      assert.is(status, 0, stderr)
      assert.equal((await run([UUID])).did, [])
    }),
  )
}
zones('restarts a zone whose configuration is not in force', () =>
  onNode({}, async ({ run }) => {
    await run([UUID], 'vmadm stop') // all is configured, and the machine went down
    const { did } = await run([UUID])
    assert.equal(did.slice(0, 2), [`vmadm stop ${UUID}`, `vmadm start ${UUID}`])
  }),
)
zones('does not restart a zone in which machines run, unless it is told to', () =>
  onNode({ processes: '4711 qemu-system-x86_64' }, async ({ run }) => {
    const { status, stderr, did } = await run([UUID])
    assert.equal([status, did], [3, []])
    assert.match(
      stderr,
      /^Error: Cannot restart \S+: machines run in it: 4711 qemu-system-x86_64$/m,
    )
    assert.is((await run([UUID, '--yes'])).status, 0)
  }),
)
for (const [what, change, words, status, says] of [
  ['a zone that is not global', { zone: 'abc' }, [UUID], 3, /This is the zone abc, not the global/],
  [
    'an unknown zone',
    {},
    [UUID.replace('3a', '3b')],
    2,
    /Cannot find zone 3b4f6e1c\S+: vmadm does/,
  ],
  ['a name', {}, ['build'], 2, /Cannot read zone "build": it is named by its UUID/],
  ['another brand', { brand: 'lx' }, [UUID], 2, /its brand is lx, not joyent/],
  ['an old image', { image: 'base-64-lts 9.4.0' }, [UUID], 2, /its image is base-64-lts 9\.4\.0/],
  ['another image', { image: 'minimal 22.4.0' }, [UUID], 2, /its image is minimal 22\.4\.0/],
  ['no network', { nics: '' }, [UUID, '--hypervisor', 'bhyve'], 2, /has no network interface/],
] as const) {
  zones(`refuses ${what}`, () =>
    onNode(change, async ({ run }) => {
      const result = await run([...words])
      assert.equal([result.status, result.did], [status, []], result.stderr)
      assert.match(result.stderr, says)
    }),
  )
}
zones.run()
