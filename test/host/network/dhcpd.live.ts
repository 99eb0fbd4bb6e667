/** ISC's own dhcpd reads our configuration, and does with real clients what it says. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { dhcpdConf } from '../../../lib/host/network/files.ts'
import { slotOf } from '../../../lib/host/network/slots.ts'
import { readSubnet } from '../../../lib/host/network/subnet.ts'
import { needPackages, workDir } from '../../live.ts'

needPackages({ ip: 'iproute2' })
const { dir, remove } = await workDir()

/** Unpacked only: installed, the package would start a server of this machine. */
execFileSync('chmod', ['755', dir]) // apt downloads as a user of its own
execFileSync('apt-get', ['download', 'isc-dhcp-server', 'busybox'], { cwd: dir, stdio: 'ignore' })
for (const name of await readdir(dir)) execFileSync('dpkg-deb', ['-x', name, 'root'], { cwd: dir })
const dhcpd = join(dir, 'root/usr/sbin/dhcpd')
const conf = join(dir, 'dhcpd.conf')

/** A client with a MAC on a wire to the server, in name spaces that end with it; what it was given is printed. */
const SCRIPT = `
set -e
mount -t tmpfs none /run && mkdir /run/netns
ip netns add client
ip link add dhcp0 type veth peer name guest0
ip link set guest0 netns client
ip netns exec client ip link set guest0 address "$1"
ip addr add 10.0.0.1/24 dev dhcp0
ip link set dhcp0 up
ip netns exec client ip link set guest0 up
: >"$2/leases" && rm -f "$2/pid"
"$2/root/usr/sbin/dhcpd" -4 -q -cf "$2/dhcpd.conf" -lf "$2/leases" -pf "$2/pid" dhcp0
printf '#!/bin/sh\\n[ "$1" != bound ] || env | grep -E "^(ip|router|dns|subnet)="\\n' >"$2/say"
chmod 755 "$2/say"
ip netns exec client "$2/root/bin/busybox" udhcpc -q -n -f -t 3 -T 1 -i guest0 -s "$2/say" || echo none
`
function ask(mac: string): string[] {
  const words = ['-m', '-n', '-p', '-f', '--kill-child', 'sh', '-c', SCRIPT, 'ask', mac, dir]
  const { stdout, stderr, status } = spawnSync('unshare', words, { encoding: 'utf8' })
  assert.is(status, 0, stderr)
  return stdout.trim().split('\n').sort()
}

const server = suite('dhcpd.conf')
server.before(async () => {
  await writeFile(conf, dhcpdConf({ subnet, uplink: 'net0' }, ['8.8.8.8', '8.8.4.4']))
})
server.after(remove)
const subnet = readSubnet('10.0.0.0/24')!

server('is accepted, and another one is not', async () => {
  const test = (path: string) =>
    spawnSync(dhcpd, ['-t', '-4', '-q', '-cf', path], { encoding: 'utf8' })
  const { status, stderr } = test(conf)
  assert.is(status, 0, stderr)
  await writeFile(join(dir, 'wrong'), 'subnet 10.0.0.0 {\n')
  assert.is(test(join(dir, 'wrong')).status, 1)
})
for (const n of [0, 31]) {
  server(`gives build ${n} its address, the router and the name servers`, () => {
    const { mac, address } = slotOf(n, subnet)
    assert.equal(ask(mac), [
      'dns=8.8.8.8 8.8.4.4',
      `ip=${address}`,
      'router=10.0.0.1',
      'subnet=255.255.255.0',
    ])
  })
}
server('gives a stranger nothing', () => {
  assert.equal(ask('02:68:69:6d:68:00'), ['none'])
})
server.run()
