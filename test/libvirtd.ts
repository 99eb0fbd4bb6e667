/**
 * A real libvirtd from Debian's packages, with its own network, in name spaces of the test's own: nothing of it
 * is seen outside, and all of it ends with them.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { needPackages } from './live.ts'

/** As root, without what a service manager would have to prepare. */
const SETTINGS = `
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
remember_owner = 0
`

export type Libvirtd = {
  /** Runs a shell's words beside libvirtd; their output. @throws with it when they fail */
  run(words: string, env?: Record<string, string>): string
  /** As run(), with an exit status in place of an error. */
  try(words: string): { status: number | null; stdout: string; stderr: string }
  stop(): Promise<void>
}

/** @param dir directory for its images, settings and state */
export async function startLibvirtd(dir: string): Promise<Libvirtd> {
  needPackages({
    libvirtd: 'libvirt-daemon-system',
    '/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so':
      'libvirt-daemon-driver-qemu',
    virsh: 'libvirt-clients',
    'virt-install': 'virtinst',
    dnsmasq: 'dnsmasq-base',
    iptables: 'iptables',
    'qemu-system-x86_64': 'qemu-system-x86',
    '/usr/share/seabios/bios-256k.bin': 'seabios',
    '/usr/share/OVMF/OVMF_CODE_4M.fd': 'ovmf',
    xorriso: 'xorriso', // virt-install's seeds are made with it
    ssh: 'openssh-client',
    ip: 'iproute2',
  })
  const state = join(dir, 'libvirt')
  await mkdir(state, { recursive: true })
  await chmod(dir, 0o755)
  const script = `
set -e
ip link set lo up
mkdir -p /run/libvirt ${state}/var ${state}/etc
mount -t tmpfs tmpfs /run
mkdir -p /run/libvirt
cp -a /etc/libvirt/. ${state}/etc/
cat >>${state}/etc/qemu.conf <<'END'${SETTINGS}END
mount --bind ${state}/etc /etc/libvirt
mount --bind ${state}/var /var/lib/libvirt
cd /var/lib/libvirt && mkdir -p images qemu/nvram dnsmasq boot
virtlogd -d
libvirtd -d
for i in 1 2 3 4 5 6 7 8 9 10; do virsh -q uri >/dev/null 2>&1 && break; sleep 1; done
virsh -q net-start default
echo ready
# The shell stays: as the first process here it is to take the end of those whose parents ended.
sleep infinity & wait
`
  const outside = spawn(
    'unshare',
    ['-m', '-n', '-p', '-f', '--mount-proc', '--kill-child', 'bash', '-c', script],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let said = ''
  outside.stderr.on('data', (data: Buffer) => (said += data))
  await new Promise<void>((done, fail) => {
    outside.stdout.on('data', (data: Buffer) => {
      said += data
      if (/^ready$/m.test(said)) done()
    })
    outside.on('exit', () => fail(new Error(`libvirtd did not start:\n${said}`)))
  })
  const inside = readFileSync(`/proc/${outside.pid}/task/${outside.pid}/children`, 'utf8').trim()
  const attempt = (words: string, env: Record<string, string> = {}) =>
    spawnSync('nsenter', ['-t', inside, '-m', '-n', '-p', '--', 'bash', '-c', words], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    })
  return {
    run(words, env) {
      const { status, stdout, stderr } = attempt(words, env)
      if (status === 0) return stdout
      throw new Error(`${words} exited ${status}: ${stdout}\n${stderr}`)
    },
    try: (words) => attempt(words),
    async stop() {
      outside.kill('SIGKILL')
      if (outside.exitCode === null && outside.signalCode === null) await once(outside, 'exit')
    },
  }
}
