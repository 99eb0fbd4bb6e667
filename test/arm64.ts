/**
 * Images for arm64 for tests: built on this machine whatever it is, booted under QEMU to the log-in prompt
 * on the serial port, and talked to there.
 */
import * as assert from 'uvu/assert'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Scope } from '../lib/cli/scope.ts'
import { chooseQemu } from '../lib/host/hypervisor.ts'
import { setUpMachine } from '../lib/machine/hardware.ts'
import { INSTALL_NIC, installFirmware } from '../lib/machine/install.ts'
import { startMachine } from '../lib/machine/machine.ts'
import type { Machine } from '../lib/machine/spec.ts'
import { needPackages, run } from './live.ts'

needPackages({
  'qemu-system-aarch64': 'qemu-system-arm',
  '/usr/share/AAVMF/AAVMF_CODE.fd': 'qemu-efi-aarch64',
  'qemu-img': 'qemu-utils',
  xorriso: 'xorriso',
})

const PASSWORD = 'for-this-test-only'
/** Generous: everything is emulated, beside whatever else runs. */
const LIMITS = { seconds: 900, silentSeconds: 300 }

/** A way in on the console, and a datasource that method cloud-image can be seen with. */
const CUSTOMIZE = `#!/bin/sh
set -e
test "$(dpkg --print-architecture)" = arm64
echo 'root:${PASSWORD}' | chpasswd
echo 'datasource_list: [NoCloud, None]' >/etc/cloud/cloud.cfg.d/95_test.cfg
`

/** Build a disk for MAAS in `dir`, and unpack it; its path. */
export async function buildArm64(dir: string, name: string, ...more: string[]): Promise<string> {
  const customize = join(dir, 'customize.sh')
  await writeFile(customize, CUSTOMIZE)
  await chmod(customize, 0o755)
  const { status, stdout, stderr } = await run('create-image-debian', [
    ...['12', '--arch', 'arm64', '--target', 'maas', '--format', 'ddgz', '--name', name],
    ...['--size', '4G', '--output', join(dir, 'bits'), '--cache', join(dir, 'cache')],
    ...['--customize', customize, ...more],
  ])
  assert.is(status, 0, stderr)
  assert.match(stderr, /maas admin boot-resources create .*architecture='arm64\/generic'/)
  const raw = join(dir, `${name}.raw`)
  assert.is((await run('convert-image', [stdout.trim(), raw])).status, 0)
  return raw
}

/** A machine that stands at its shell. */
export type Shell = {
  /** Run a command, which has to succeed; what it prints. */
  ask(command: string): Promise<string>
  /** Switch the machine off. */
  off(): Promise<void>
}

/** Boot a disk to the log-in prompt; then root logs in, and `use` is called. */
export async function bootArm64(disk: string, use: (shell: Shell) => Promise<void>): Promise<void> {
  const scope = new Scope()
  try {
    const hypervisor = await chooseQemu({ accel: 'auto', qemu: undefined, arch: 'arm64' })
    const { hardware, firmware } = setUpMachine.arm64
    const work = await scope.tempDir('boot-arm64')
    const machine = await startMachine(
      {
        name: 'arm64',
        hypervisor,
        hardware,
        firmware: await installFirmware(firmware, { layout: hardware, hypervisor }, work),
        memoryMiB: 1024,
        cpus: 2,
        uuid: '00000000-0000-8000-8000-000000000064',
        disks: [{ path: disk, format: 'raw' }],
        nic: INSTALL_NIC,
      },
      scope,
      join(work, 'serial.log'),
    )
    await machine.go()
    await use(await login(machine))
  } finally {
    await scope.close(false)
  }
}

async function login(machine: Machine): Promise<Shell> {
  const { console: serial } = machine
  let seen = 0
  const shows = async (text: RegExp) => {
    const options = { what: `${text} on the console`, limits: LIMITS, from: seen }
    const { match, next } = await serial.waitFor(text, options)
    seen = next
    return match
  }
  await shows(/GNU GRUB/)
  await shows(/Linux version .*aarch64|Booting Linux on physical CPU/)
  await shows(/^\S+ login: /m)
  console.error(`Log-in prompt after ${Math.round(serial.seconds)} s`)
  serial.write('root\r')
  await shows(/Password: /)
  serial.write(`${PASSWORD}\r`)
  await shows(/root@\S+:~# /)
  return {
    async ask(command) {
      const from = seen
      serial.write(`${command}; echo "ended=$?"\r`)
      // The echo of the command has a dollar sign in the number's place.
      const [, status] = await shows(/^ended=(\d+)$/m)
      const said = serial.text.slice(from, seen)
      assert.is(status, '0', said)
      return said
    },
    async off() {
      serial.write('poweroff\r')
      await machine.off(LIMITS.seconds)
    },
  }
}
