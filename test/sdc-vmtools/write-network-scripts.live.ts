/** The network settings of Enterprise Linux 6, from metadata of one instance. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { needPackages, workDir } from '../live.ts'

needPackages({ python3: 'python3' })
const program = fileURLToPath(
  new URL('../../sdc-vmtools/linux/smartdc/write-network-scripts', import.meta.url),
)
const { dir, remove } = await workDir()
const scripts = join(dir, 'network-scripts')
const resolvConf = join(dir, 'resolv.conf')

/** Run it where the metadata service has these values. */
async function write(values: Record<string, unknown>) {
  await mkdir(scripts, { recursive: true })
  await mkdir(join(dir, 'values'), { recursive: true })
  for (const [key, value] of Object.entries(values)) {
    await writeFile(join(dir, 'values', key), JSON.stringify(value))
  }
  const get = join(dir, 'mdata-get')
  await writeFile(get, `#!/bin/sh\n[ -f ${dir}/values/$1 ] && exec cat ${dir}/values/$1\nexit 1\n`)
  await chmod(get, 0o755)
  const env = { PATH: `${dir}:/usr/bin:/bin`, NETWORK_SCRIPTS: scripts, RESOLV_CONF: resolvConf }
  return spawnSync(program, { env, encoding: 'utf8' })
}
const read = async (path: string) => (await readFile(path, 'utf8')).trim().split('\n').slice(1)

const writing = suite('write-network-scripts')
writing.after(remove)
writing('leaves everything as it is without a metadata service', async () => {
  const { status, stderr } = await write({})
  assert.is(status, 0)
  assert.match(stderr, /no metadata service/)
  assert.equal(await readdir(scripts), [])
})
writing(
  'writes addresses of both kinds, the gateway of the primary, DHCP and resolvers',
  async () => {
    const { status, stderr } = await write({
      'sdc:nics': [
        {
          mac: '90:b8:d0:11:22:33',
          primary: true,
          mtu: 1500,
          ips: ['10.0.0.5/24', '10.0.0.6/24', 'fd00::5/64', 'addrconf'],
          gateways: ['10.0.0.1'],
        },
        { mac: '90:b8:d0:11:22:44', ips: ['192.168.1.7/16'], gateways: ['192.168.0.1'] },
        { mac: '90:b8:d0:11:22:55', ip: 'dhcp' },
      ],
      'sdc:resolvers': ['8.8.8.8', '8.8.4.4'],
    })
    assert.is(status, 0, stderr)
    assert.equal(await read(join(scripts, 'ifcfg-eth0')), [
      ...['DEVICE=eth0', 'ONBOOT=yes', 'NM_CONTROLLED=no', 'HWADDR=90:b8:d0:11:22:33', 'MTU=1500'],
      ...['BOOTPROTO=none', 'IPADDR=10.0.0.5', 'NETMASK=255.255.255.0'],
      ...['IPADDR1=10.0.0.6', 'NETMASK1=255.255.255.0', 'IPV6INIT=yes', 'IPV6ADDR=fd00::5/64'],
      'GATEWAY=10.0.0.1',
    ])
    assert.equal(await read(join(scripts, 'ifcfg-eth1')), [
      ...['DEVICE=eth1', 'ONBOOT=yes', 'NM_CONTROLLED=no', 'HWADDR=90:b8:d0:11:22:44'],
      ...['BOOTPROTO=none', 'IPADDR=192.168.1.7', 'NETMASK=255.255.0.0'],
    ])
    assert.equal((await read(join(scripts, 'ifcfg-eth2'))).at(-1), 'BOOTPROTO=dhcp')
    assert.equal(await read(resolvConf), ['nameserver 8.8.8.8', 'nameserver 8.8.4.4'])
    assert.equal((await readdir(scripts)).sort(), ['ifcfg-eth0', 'ifcfg-eth1', 'ifcfg-eth2'])
  },
)
writing.run()
