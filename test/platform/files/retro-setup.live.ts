/**
 * More of retro-setup: every moment at which the power can go, every call that can fail, rarer metadata. The
 * copies are made by the real cpio, and one machine reads its metadata with the real client.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { chmod, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execFileSync } from 'node:child_process'
import { Metadata } from '../../../lib/triton/metadata.ts'
import { listenMetadata } from '../../../lib/triton/service.ts'
import { CUT_STRIDE, needPackages } from '../../live.ts'

import { inTemporaryDir } from '../../temporary.ts'
import { BOOT_DISK, DATA_DISK, type Environment, Guest, METADATA, NICS } from './guest.ts'

needPackages({ cpio: 'cpio' })
const GUEST_CPIO = execFileSync('which', ['cpio'], { encoding: 'utf8' }).trim()
const withGuest = (use: (guest: Guest) => Promise<void>) =>
  inTemporaryDir(async (dir) => use(await Guest.make(dir)))

const settings = async (guest: Guest) =>
  (await guest.read('usbkey/config')).split('\n').filter((line) => /^[a-z]/.test(line))
const CONFIG = [
  'admin_nic=90:b8:d0:01:02:03',
  'admin_ip=10.1.2.3',
  'admin_netmask=255.255.255.0',
  'headnode_default_gateway=10.1.2.1',
  'dns_resolvers=8.8.8.8,8.8.4.4',
  'dns_domain=local',
  'hostname=oldskool',
]
const pool = `disks/${DATA_DISK}/pool`

/** All that is on the data disk: path and content of each file. */
async function contentOf(guest: Guest): Promise<Record<string, string>> {
  await guest.run('usr/sbin/power-off')
  const dir = join(guest.state, pool)
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  const found: Record<string, string> = {}
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name)
    found[path.slice(dir.length + 1)] = entry.isFile()
      ? await readFile(path, 'latin1')
      : 'directory'
  }
  return found
}

const cuts = suite('retro-setup, the power goes before any call of first boot')
cuts('and the next boots complete it, to the same as without', async () => {
  await withGuest(async (guest) => {
    guest.everyProgram = true
    await guest.boot({ GUEST_CPIO })
    await guest.boot({ GUEST_CPIO })
    const wanted = await contentOf(guest)
    assert.is(wanted['datasets/var/data/log/kept'], 'of the archive\n')
    assert.ok(Object.keys(wanted).length > 40, String(Object.keys(wanted).length))
    let cut = 0
    for (; ; cut += CUT_STRIDE) {
      await rm(join(guest.state, pool), { recursive: true, force: true })
      await guest.write(`disks/${DATA_DISK}/bytes`, String(20 * 1024 ** 3))
      await guest.run('usr/sbin/power-off')
      const first = await guest.boot({ GUEST_CPIO, GUEST_CUT: String(cut + 1) })
      if (first.rebooting) break
      assert.is(first.status, undefined, `cut ${cut + 1}: ${first.console}`)
      await guest.write(`disks/${DATA_DISK}/bytes`, String(20 * 1024 ** 3))
      const boots = [await guest.boot({ GUEST_CPIO })]
      if (boots[0]!.rebooting) boots.push(await guest.boot({ GUEST_CPIO }))
      const { status, network, ttya, console } = boots.at(-1)!
      assert.equal([status, network, ttya], [0, 0, ''], `cut ${cut + 1}: ${console}`)
      assert.equal(await contentOf(guest), wanted, `cut ${cut + 1}`)
    }
    console.error(`every ${CUT_STRIDE} of ${cut} moments`)
    assert.ok(cut > 40, String(cut))
  })
})
cuts('and in the boot after it too', () =>
  withGuest(async (guest) => {
    for (const [one, two] of [
      ['cpio', 'zpool destroy'],
      ['cpio', 'zpool create'],
      ['zpool export', 'zpool export'],
      ['zpool import zones', 'rmdir'],
      ['touch', 'touch'],
    ]) {
      guest.everyProgram = true
      await rm(join(guest.state, pool), { recursive: true, force: true })
      await guest.write(`disks/${DATA_DISK}/bytes`, String(20 * 1024 ** 3))
      assert.is((await guest.boot({ GUEST_CPIO, GUEST_CUT: one! })).status, undefined)
      assert.is(
        (await guest.boot({ GUEST_CPIO, GUEST_CUT: two! })).status,
        undefined,
        `${one}, ${two}`,
      )
      let boot = await guest.boot({ GUEST_CPIO })
      if (boot.rebooting) boot = await guest.boot({ GUEST_CPIO })
      assert.equal([boot.status, boot.network, boot.ttya], [0, 0, ''], `${one}, ${two}`)
    }
  }),
)
cuts.run()

const failures = suite('retro-setup, a call of first boot fails')
failures('any one: it says so, lets the owner in, and the next boot completes it', async () => {
  // Not those whose failure changes nothing: a mount of a tool, directories that are there already.
  const first = await inTemporaryDir(async (dir) => {
    const guest = await Guest.make(dir)
    await guest.boot()
    return (await guest.called('')).filter((line) =>
      /^(zpool create|zpool export|zpool import |zfs|mount -F zfs|cpio|prtconf)/.test(line),
    )
  })
  const calls = [...new Set(first.map((line) => line.replace(/ \S*\/(?=root\/).*/, '')))]
  assert.ok(calls.length > 14, calls.join('\n'))
  for (const call of calls) {
    await withGuest(async (guest) => {
      const { status, console, ttya } = await guest.boot({ GUEST_FAIL: call })
      assert.is(status, 95, call)
      assert.match(console, /Cannot .*/, call)
      assert.match(ttya, /emergency password/, call)
      const boot = await guest.setUp()
      assert.equal([boot.status, boot.network], [0, 0], call)
    })
  }
})
failures('comes with a tarball of custom bits that is damaged', () =>
  withGuest(async (guest) => {
    const path = join(guest.state, 'disks', BOOT_DISK, 'fat/custom.tgz')
    await writeFile(path, 'no tarball')
    await chmod(path, 0o444)
    const { status, console } = await guest.boot()
    assert.is(status, 95)
    assert.match(console, /Cannot unpack the custom bits: /)
  }),
)
failures.run()

const rare = suite('retro-setup, rarer machines')
rare('makes sparse swap and a smaller dump on a small disk', () =>
  withGuest(async (guest) => {
    await guest.write(`disks/${DATA_DISK}/bytes`, String(3 * 1024 ** 3))
    await guest.setUp()
    const datasets = `disks/${DATA_DISK}/pool/datasets`
    assert.is(await guest.readState(`${datasets}/dump/props`), 'volsize=153m\nsparse=no\n')
    assert.is(await guest.readState(`${datasets}/swap/props`), 'volsize=2048m\nsparse=yes\n')
  }),
)
rare('asks for an address where the metadata service has none', () =>
  withGuest(async (guest) => {
    await guest.setMetadata('sdc:nics', '[{"mac":"90:b8:d0:1:2:3","ip":"dhcp"}]')
    await guest.setMetadata('sdc:resolvers', undefined)
    await guest.setMetadata('sdc:hostname', undefined)
    await guest.setMetadata('sdc:dns_domain', 'example.com')
    await guest.setUp()
    assert.equal((await settings(guest)).slice(0, 4), [
      'admin_nic=90:b8:d0:01:02:03',
      'admin_ip=dhcp',
      'dns_domain=example.com',
      `hostname=${METADATA['sdc:uuid']}`,
    ])
  }),
)
rare('says that nobody can log in without root_authorized_keys', () =>
  withGuest(async (guest) => {
    await guest.setMetadata('root_authorized_keys', undefined)
    const { status, console, ttya } = await guest.setUp()
    assert.equal([status, ttya], [0, ''])
    assert.match(console, /Nobody can log in: there is no root_authorized_keys/)
    assert.is(await guest.read('root/.ssh/authorized_keys'), '')
  }),
)
rare('goes on with what it knew while the metadata service is away', () =>
  withGuest(async (guest) => {
    await guest.setUp()
    const { status, network, console, ttya } = await guest.boot({ GUEST_NO_METADATA: '1' })
    assert.equal([status, network, ttya], [0, 0, ''])
    assert.match(console, /Cannot read metadata, all stays as it was: Cannot reach/)
    assert.is(await guest.read('root/.ssh/authorized_keys'), METADATA['root_authorized_keys'])
    assert.equal((await settings(guest)).slice(0, 7), CONFIG)
  }),
)
rare('gives a way in when there is neither metadata nor a key', () =>
  withGuest(async (guest) => {
    await guest.setMetadata('root_authorized_keys', undefined)
    await guest.setUp()
    const { status, ttya } = await guest.boot({ GUEST_NO_METADATA: '1' })
    assert.is(status, 0)
    assert.match(ttya, /emergency password/)
  }),
)
rare('stops where the platform would ask', () =>
  withGuest(async (guest) => {
    await guest.setUp()
    await rm(join(guest.state, 'disks', DATA_DISK, 'pool/datasets/usbkey/data/config'))
    const { status, console } = await guest.boot()
    assert.is(status, 95)
    assert.match(console, /Cannot find \/usbkey\/config/)
  }),
)
rare('lets nothing of the metadata be a command', () =>
  withGuest(async (guest) => {
    await guest.setMetadata('sdc:hostname', 'x;reboot')
    await guest.setMetadata('sdc:dns_domain', '$(reboot)')
    await guest.setMetadata('sdc:resolvers', '["8.8.8.8","$(reboot)","::1"]')
    await guest.setMetadata(
      'sdc:nics',
      JSON.stringify([{ ...NICS[0], ips: ['10.1.2.3/24', '$(reboot)/24', 'fd00::5/64'] }]),
    )
    await guest.setUp()
    assert.equal((await settings(guest)).slice(4, 7), [
      'dns_resolvers=8.8.8.8',
      'dns_domain=local',
      `hostname=${METADATA['sdc:uuid']}`,
    ])
  }),
)
rare('reads its metadata with the real client, from the real service', () =>
  withGuest(async (guest) => {
    guest.realMetadata = true
    const device = join(guest.state, 'socket')
    const service = await listenMetadata(device, new Metadata(METADATA))
    const env: Environment = { MDATA_DEVICE: device, GUEST_CPIO }
    assert.ok((await guest.boot(env)).rebooting)
    const boot = await guest.boot(env)
    assert.equal([boot.status, boot.network, boot.ttya], [0, 0, ''])
    assert.equal((await settings(guest)).slice(0, 7), CONFIG)
    assert.is(await guest.read('root/.ssh/authorized_keys'), METADATA['root_authorized_keys'])
    await service.close()
    const without = await guest.boot({ ...env, MDATA_TIMEOUT: '0.2' })
    assert.equal([without.status, without.network], [0, 0])
    assert.match(without.console, /all stays as it was: Cannot open .*socket/)
  }),
)
rare('works with the paths of a real machine', () =>
  withGuest(async (guest) => {
    guest.chroot = true
    const first = await guest.boot()
    assert.ok(first.rebooting, first.console + first.log)
    const second = await guest.boot()
    assert.equal([second.status, second.network, second.ttya], [0, 0, ''], second.log)
    const config = await guest.readState(`${pool}/datasets/usbkey/data/config`)
    assert.equal(config.split('\n').slice(0, 7), CONFIG)
    assert.match(await guest.readState('run/mounts'), /^zones\/usbkey \/usbkey$/m)
    assert.match(await guest.readState('run/mounts'), /mdata-get \/usr\/sbin\/mdata-get$/m)
    assert.is(await guest.readState('run/ipfilter'), 'online\n')
    assert.is(await guest.read('root/.ssh/authorized_keys'), METADATA['root_authorized_keys'])
    await guest.addDisk('c2t0d0')
    await rm(join(guest.state, pool), { recursive: true })
    const third = await guest.boot()
    assert.is(third.status, 95)
    assert.match(third.ttya, /emergency password of root/)
    assert.match(await guest.readState('run/mounts'), / \/etc\/shadow$/m)
  }),
)
rare.run()
