/**
 * Boots a raw disk in QEMU, without KVM, under one of the two firmwares, and watches its first
 * serial port. The disk itself is never written to.
 */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { join } from 'node:path'
import type { Socket } from 'node:net'
import { ended } from './live.ts'
import { serveMetadata } from './metadata.ts'

export type Firmware = 'bios' | 'uefi'

const OVMF = '/usr/share/OVMF/OVMF_CODE_4M.fd'
const OVMF_VARIABLES = '/usr/share/OVMF/OVMF_VARS_4M.fd'

/** Files and the packages that bring them, for needPackages(). */
export const bootPackages = {
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  '/usr/share/seabios/bios-256k.bin': 'seabios',
  [OVMF]: 'ovmf',
}

export type Boot = {
  firmware: Firmware
  /** The console shows this in the end. */
  shows: RegExp
  seconds: number
  /** Be a SmartOS instance with this metadata and a second disk, the first one grown to 12 GiB. */
  metadata?: Record<string, string>
}

/**
 * Boot until the serial console shows a text.
 *
 * @throws {Error} with the console's last lines when it does not, or the machine ends before
 */
export async function bootUntil(disk: string, boot: Boot): Promise<string> {
  const { firmware, shows, seconds, metadata } = boot
  const dir = await mkdtemp('/var/tmp/hybrid-boot-')
  const overlay = join(dir, 'overlay.qcow2')
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', disk, '-F', 'raw', overlay, '12G'])
  const data = join(dir, 'data.qcow2')
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', data, '1G'])
  const serial = join(dir, 'metadata.sock')
  const variables = join(dir, 'variables.fd')
  await copyFile(OVMF_VARIABLES, variables)
  const pflash = (file: string, more = '') => ['-drive', `if=pflash,format=raw,file=${file}${more}`]
  const machine = spawn(
    'qemu-system-x86_64',
    [
      ['-accel', 'tcg,thread=multi'],
      ['-cpu', 'Nehalem'], // "max" makes kernels panic at random under emulation
      ['-m', '1024M'],
      ['-smp', '2'],
      ...(firmware === 'uefi' ? [pflash(OVMF, ',readonly=on'), pflash(variables)] : []),
      ['-drive', `file=${overlay},format=qcow2,if=virtio`],
      ['-nic', 'user,model=virtio-net-pci,mac=52:54:00:00:00:01'],
      ['-device', 'virtio-rng-pci'],
      ['-display', 'none'],
      ['-no-reboot'],
      ['-serial', 'stdio'],
      ...(metadata
        ? [
            ['-smbios', 'type=1,manufacturer=Joyent,product=SmartDC HVM'],
            ['-drive', `file=${data},format=qcow2,if=virtio`],
            ['-chardev', `socket,id=metadata,path=${serial},server=on,wait=off`],
            ['-serial', 'chardev:metadata'],
          ].flat()
        : []),
    ].flat(),
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let console = ''
  let complaint = ''
  machine.stdout.on('data', (data: Buffer) => (console += data.toString('latin1')))
  machine.stderr.on('data', (data: Buffer) => (complaint += data))
  let service: Socket | undefined
  const deadline = Date.now() + seconds * 1000
  try {
    while (!shows.test(console)) {
      if (metadata && !service && existsSync(serial)) service = serveMetadata(serial, metadata)
      const over = machine.exitCode !== null
      if (over || Date.now() > deadline) {
        const last = console.split(/\r?\n/).slice(-15).join('\n')
        const what = over ? `QEMU ended: ${complaint}` : `after ${seconds} s`
        throw new Error(`The console under ${firmware} did not show ${shows}: ${what}\n${last}`)
      }
      await delay(250)
    }
    return console
  } finally {
    service?.destroy()
    machine.kill('SIGKILL')
    await ended(machine)
    await rm(dir, { recursive: true, force: true })
  }
}
