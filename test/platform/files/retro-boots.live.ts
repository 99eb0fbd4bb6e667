/** What retro-setup does to a machine, boot after boot, on stand-ins that refuse what SmartOS refuses. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inTemporaryDir } from '../../temporary.ts'
import { type Boot, BOOT_DISK, DATA_DISK, Guest, METADATA, NICS } from './guest.ts'

const withGuest = (use: (guest: Guest) => Promise<void>) =>
  inTemporaryDir(async (dir) => use(await Guest.make(dir)))

const CONFIG = [
  'admin_nic=90:b8:d0:01:02:03',
  'admin_ip=10.1.2.3',
  'admin_netmask=255.255.255.0',
  'headnode_default_gateway=10.1.2.1',
  'dns_resolvers=8.8.8.8,8.8.4.4',
  'dns_domain=local',
  'hostname=oldskool',
]
const settings = async (guest: Guest) =>
  (await guest.read('usbkey/config')).split('\n').filter((line) => /^[a-z]/.test(line))

/** It stopped for a reason, said so, and let the owner in; no disk was touched. */
async function assertStopped(guest: Guest, boot: Boot, reason: RegExp) {
  assert.is(boot.status, 95)
  assert.match(boot.console, reason)
  assert.match(boot.ttya, /^SmartOS Retro: emergency password of root: [a-z2-9]{16}\n$/)
  assert.equal(await guest.called('zpool create'), [])
  assert.equal(await guest.called('zpool destroy'), [])
}

const first = suite('retro-setup, first boot')
first('makes a pool with all that the platform wants, and starts again', () =>
  withGuest(async (guest) => {
    const { rebooting, console, ttya } = await guest.boot()
    assert.ok(rebooting, console)
    assert.is(ttya, '')
    assert.match(console, /making the pool zones on c1t0d0/)
    assert.equal(await guest.called('zpool create'), [
      `zpool create -O atime=off -O org.hybrid-images:retro=incomplete zones-partial ${DATA_DISK}`,
    ])
    const datasets = `disks/${DATA_DISK}/pool/datasets`
    assert.match(await guest.readState(`${datasets}/cores/props`), /^compression=gzip\nquota=10g\n/)
    assert.is(await guest.readState(`${datasets}/dump/props`), 'volsize=1024m\nsparse=no\n')
    assert.is(await guest.readState(`${datasets}/swap/props`), 'volsize=2048m\nsparse=no\n')
    assert.is(await guest.readState(`${datasets}/var/data/log/kept`), 'of the archive\n')
    assert.is(await guest.readState(`${datasets}/config/data/index`), 'global:installed:/\n')

    assert.ok(await stat(join(guest.state, datasets, '.root/data/.system_pool')))

    const second = await guest.boot()
    assert.equal([second.status, second.network, second.ttya], [0, 0, ''])
    assert.equal(await settings(guest), [
      ...CONFIG,
      'etherstub=retro0',
      'ntp_hosts=0.smartos.pool.ntp.org',
    ])
    assert.match(await guest.read('etc/shadow'), /^root:NP:6445:/)
    assert.is((await stat(join(guest.root, 'usbkey/shadow'))).mode & 0o777, 0o400)
    assert.is(await guest.read('etc/ssh/sshd_config'), 'PasswordAuthentication no\n')
    assert.match(await guest.read('opt/custom/etc/zone.json.tmpl'), /"image_uuid": "@IMAGE@"/)
    assert.is((await guest.called('reboot')).length, 1)
  }),
)
first('unpacks the custom bits, whose template wins', () =>
  withGuest(async (guest) => {
    const bits = join(guest.state, 'bits')
    await mkdir(join(bits, 'etc'), { recursive: true })
    await mkdir(join(bits, 'smf'))
    await writeFile(join(bits, 'smf/mine.xml'), '<mine/>\n')
    await writeFile(join(bits, 'etc/zone.json.tmpl'), 'mine\n')
    const archive = join(guest.state, 'disks', BOOT_DISK, 'fat/custom.tgz')
    execFileSync('tar', ['-czf', archive, '-C', bits, '.'])
    await guest.setUp()
    assert.is(await guest.read('opt/custom/smf/mine.xml'), '<mine/>\n')
    assert.is(await guest.read('opt/custom/etc/zone.json.tmpl'), 'mine\n')
  }),
)
first('waits for the serial port’s device', () =>
  withGuest(async (guest) => {
    await guest.boot({ GUEST_NO_METADATA: '1' })
    assert.is((await guest.called('devfsadm')).length, 1)
  }),
)
first.run()

const doubt = suite('retro-setup, a disk in doubt')
doubt('stops without a data disk', () =>
  withGuest(async (guest) => {
    await guest.removeDisk(DATA_DISK)
    await assertStopped(guest, await guest.boot(), /no disk besides c0t0d0.*Add a data disk/)
  }),
)
doubt('stops with two, and names them', () =>
  withGuest(async (guest) => {
    await guest.addDisk('c2t0d0')
    await assertStopped(guest, await guest.boot(), /2 disks could be the data disk: c1t0d0 c2t0d0/)
  }),
)
doubt('does not count what can be taken out', () =>
  withGuest(async (guest) => {
    await guest.addDisk('c3t0d0', { removable: '' })
    assert.ok((await guest.boot()).rebooting)
  }),
)
doubt('stops at a pool of somebody else, which the platform has imported', () =>
  withGuest(async (guest) => {
    await rm(join(guest.state, 'disks', DATA_DISK), { recursive: true })
    await guest.addDisk(DATA_DISK, {
      'pool/name': 'tank\n',
      'pool/status': 'exported\n',
      'pool/datasets/.root/props': '\n',
      'pool/datasets/.root/data/precious': 'data',
    })
    await assertStopped(guest, await guest.boot(), /a pool that is not of our making, tank,/)
    assert.is(await guest.read('tank/precious'), 'data')
  }),
)
for (const name of ['zones', 'zones-partial']) {
  doubt(`stops at a pool of somebody else that is called ${name}`, () =>
    withGuest(async (guest) => {
      await guest.addDisk(DATA_DISK, {
        'pool/name': name,
        'pool/status': 'exported\n',
        'pool/datasets/.root/props': '\n',
        'pool/datasets/.root/data/precious': 'data',
      })
      await assertStopped(guest, await guest.boot(), /a pool that is not of our making/)
    }),
  )
}
doubt('stops at a pool that could not be imported', () =>
  withGuest(async (guest) => {
    await guest.addDisk(DATA_DISK, {
      'pool/name': 'tank\n',
      'pool/status': 'faulted\n',
      'pool/datasets/.root/props': '\n',
    })
    await assertStopped(guest, await guest.boot(), /there is a pool already, tank, which could not/)
  }),
)
doubt('stops where zpool refuses, and says what zpool says', () =>
  withGuest(async (guest) => {
    await guest.write(`disks/${DATA_DISK}/content`, 'ufs')
    const boot = await guest.boot()
    assert.is(boot.status, 95)
    assert.match(boot.console, /Cannot make a pool on c1t0d0: [^]*contains a ufs filesystem/)
    assert.match(boot.ttya, /emergency password/)
    assert.not(await guest.readState(`disks/${DATA_DISK}/pool/name`))
  }),
)
doubt('stops when it can not find its own disk', () =>
  withGuest(async (guest) => {
    await rm(join(guest.state, 'disks', BOOT_DISK, 'fat/.smartos-retro'))
    await assertStopped(guest, await guest.boot(), /no file \.smartos-retro in the FAT of c0t0d0p1/)
    await rm(join(guest.state, 'disks', BOOT_DISK, 'fat'), { recursive: true })
    await assertStopped(guest, await guest.boot(), /no file \.smartos-retro in the FAT of any disk/)
  }),
)
doubt('uses the disk that another FAT is not on', () =>
  withGuest(async (guest) => {
    // A headnode's key, in front of our own disk.
    await guest.addDisk('b0t0d0', { 'fat/.joyliveusb': '', removable: '' })
    assert.ok((await guest.boot()).rebooting)
    assert.match((await guest.called('zpool create'))[0]!, / c1t0d0$/)
  }),
)
doubt.run()

const later = suite('retro-setup, later boots')
later('follows the metadata service, and leaves the operator’s lines', () =>
  withGuest(async (guest) => {
    await guest.setUp()
    await writeFile(
      join(guest.root, 'usbkey/config'),
      `${await guest.read('usbkey/config')}mine=yes\n`,
    )
    await guest.setMetadata('sdc:hostname', 'renamed')
    await guest.setMetadata(
      'sdc:nics',
      JSON.stringify([{ ...NICS[0], ip: '10.1.9.9', ips: ['10.1.9.9/16'], gateway: undefined }]),
    )
    await guest.setMetadata('root_authorized_keys', 'ssh-rsa CCCC three@example')
    assert.is((await guest.boot()).network, 0)
    assert.equal(await settings(guest), [
      CONFIG[0]!,
      'admin_ip=10.1.9.9',
      'admin_netmask=255.255.0.0',
      ...CONFIG.slice(4, 6),
      'hostname=renamed',
      'etherstub=retro0',
      'ntp_hosts=0.smartos.pool.ntp.org',
      'mine=yes',
    ])
    assert.is(await guest.read('root/.ssh/authorized_keys'), 'ssh-rsa CCCC three@example\n')
    guest.everyProgram = true
    const before = (await guest.called('mv')).length
    await guest.boot()
    const written = (await guest.called('mv')).slice(before).join('\n')
    assert.not.match(written, /usbkey\/config$/m, 'what did not change is not written')
  }),
)
later('gives root the keys of the metadata', () =>
  withGuest(async (guest) => {
    await guest.setUp()
    assert.is(await guest.read('root/.ssh/authorized_keys'), METADATA['root_authorized_keys'])
    const mode = async (path: string) => (await stat(join(guest.root, path))).mode & 0o777
    assert.is(await mode('root/.ssh/authorized_keys'), 0o600)
    assert.is(await mode('root/.ssh'), 0o700)
    assert.match(await guest.read('usr/sbin/mdata-get'), /^#!\/bin\/sh/, 'ours is mounted over it')
    assert.match(await guest.read('usr/sbin/mdata-list'), /^#!\/usr\/bin\/perl/)
    assert.not(await guest.read('usr/sbin/mdata-put'), 'there is nothing to mount it over')
  }),
)
later('does nothing but the mounts in a rescue', () =>
  withGuest(async (guest) => {
    await guest.write('bootparams', 'smartos=true\nnoimport=true\n')
    const { status, console, ttya } = await guest.boot()
    assert.equal([status, ttya], [0, ''])
    assert.match(console, /Rescue/)
    assert.equal(await guest.called('zpool'), [])
    assert.equal((await guest.called('mount -F lofs')).length, 2)
  }),
)
later('gives a password in a rescue only when it is asked to', () =>
  withGuest(async (guest) => {
    await guest.write('bootparams', 'noimport=true\nemergency-password=true\n')
    const { status, ttya } = await guest.boot()
    assert.is(status, 0)
    assert.match(ttya, /emergency password of root/)
    assert.equal(await guest.called('zpool'), [])
  }),
)
later('refuses metadata that is none', () =>
  withGuest(async (guest) => {
    for (const [nics, why] of [
      ['[{"mac":"90:b8:d0:1:2:3","ip":"10.0.0.1","netmask":"255.0.0.0"}', /a list has no end/],
      ['{}', /it is no list/],
      ['[{"mac":"$(reboot)"}]', /an interface has no MAC/],
      ['[]', /knows of no interface/],
    ] as const) {
      await guest.setMetadata('sdc:nics', nics)
      await assertStopped(guest, await guest.boot(), why)
    }
    await guest.setMetadata('sdc:nics', undefined)
    await assertStopped(guest, await guest.boot(), /has no sdc:nics/)
  }),
)
later.run()

const emergency = suite('retro-setup, emergency password')
emergency('opens root’s account until the next boot, and is nowhere but on ttya', () =>
  withGuest(async (guest) => {
    await guest.addDisk('c2t0d0')
    const { ttya, console, log } = await guest.boot()
    const [, password] = /root: (\S+)\n/.exec(ttya)!
    assert.not((console + log).includes(password!))
    const shadow = await guest.read('etc/shadow')
    const [, hash, salt] = /^root:((\$5\$[a-z2-9]{8})\$[^:]{43}):6445::::::\n/.exec(shadow)!
    assert.match(shadow, /^daemon:NP:6445::::::$/m)
    const crypted = execFileSync('perl', ['-e', 'print crypt $ARGV[0], $ARGV[1]', password!, salt!])
    assert.is(String(crypted), hash)
    assert.is((await stat(join(guest.root, 'etc/shadow'))).mode & 0o777, 0o400)

    const again = await guest.boot()
    assert.is.not(again.ttya, ttya)
    await guest.removeDisk('c2t0d0')
    assert.is((await guest.setUp()).ttya, '')
    assert.match(await guest.read('etc/shadow'), /^root:NP:/)
  }),
)
emergency('is not made where it could not be shown', () =>
  withGuest(async (guest) => {
    await guest.addDisk('c2t0d0')
    const ttya = join(guest.root, 'dev/ttya')
    guest.onStart = () => rename(ttya, join(guest.root, 'dev/term/a'))
    await guest.boot()
    assert.match(await guest.read('dev/term/a'), /emergency password/, 'its other name')
    guest.onStart = () => rm(ttya)
    assert.match((await guest.boot()).console, /Cannot show an emergency password/)
    assert.match(await guest.read('etc/shadow'), /^root:NP:/)
  }),
)
emergency('comes when the metadata service does not answer at first boot', () =>
  withGuest(async (guest) => {
    const boot = await guest.boot({ GUEST_NO_METADATA: '1' })
    await assertStopped(guest, boot, /Cannot set up without metadata: Cannot reach the metadata/)
    assert.match(boot.console, /attempt 3 of 3/)
    assert.ok((await guest.boot()).rebooting, 'the next boot finds it, and goes on')
  }),
)
emergency.run()

const again = suite('retro-setup, once more in the same boot')
const clear = (guest: Guest) => guest.run('lib/svc/method/retro-setup', ['start'])
again('goes on where the operator has removed the doubt', () =>
  withGuest(async (guest) => {
    await guest.addDisk('c2t0d0')
    await guest.boot()
    assert.is((await clear(guest)).status, 95)
    assert.is((await guest.read('dev/ttya')).match(/emergency password/g)?.length, 2)
    await guest.removeDisk('c2t0d0')
    await clear(guest)
    assert.equal(await guest.called('reboot'), ['reboot '])
  }),
)
again('begins anew where a call has failed', () =>
  withGuest(async (guest) => {
    assert.is((await guest.boot({ GUEST_FAIL: 'cpio' })).status, 95)
    await clear(guest)
    assert.equal(await guest.called('zpool destroy'), ['zpool destroy zones-partial'])
    assert.equal(await guest.called('reboot'), ['reboot '])
    assert.is((await guest.boot()).network, 0)
  }),
)
again('changes nothing on a machine that is set up', () =>
  withGuest(async (guest) => {
    await guest.setUp()
    const before = await guest.readState('log')
    assert.is((await clear(guest)).status, 0)
    const calls = (await guest.readState('log')).slice(before.length)
    assert.not.match(calls, /^(mount|zfs|zpool (create|import|export|destroy)|reboot)/m)
  }),
)
again.run()

const cuts = suite('retro-setup, power cuts in first boot')
// Every other moment is in the live test.
for (const call of ['cpio', 'zpool import zones']) {
  cuts(`before "${call}": the next boots complete it`, () =>
    withGuest(async (guest) => {
      const { status, rebooting } = await guest.boot({ GUEST_CUT: call })
      assert.equal([status, rebooting], [undefined, false])
      let boot = await guest.boot()
      if (boot.rebooting) boot = await guest.boot()
      assert.equal([boot.status, boot.network, boot.ttya], [0, 0, ''])
      assert.equal((await settings(guest)).slice(0, 7), CONFIG)
    }),
  )
}
cuts.run()
