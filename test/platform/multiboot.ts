/** Disks booted in QEMU from BIOS, with a multiboot kernel that says what it was given. */
import { execFileSync, spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { needPackages } from '../live.ts'

needPackages({
  gcc: 'gcc',
  objcopy: 'binutils',
  'qemu-system-x86_64': 'qemu-system-x86',
  '/usr/share/seabios/bios-256k.bin': 'seabios',
})

const source = (name: string) => fileURLToPath(new URL(name, import.meta.url))

/** Make the kernel in a directory. */
export function makeKernel(dir: string): string {
  const linked = join(dir, 'kernel.elf')
  const kernel = join(dir, 'unix')
  const words = [
    ...['-m32', '-O2', '-ffreestanding', '-fno-pic', '-fno-stack-protector'],
    ...['-fno-asynchronous-unwind-tables', '-mno-sse', '-nostdlib', '-static'],
    ...['-Wl,--build-id=none', '-Wl,--no-warn-rwx-segments'],
    ...['-Wl,-T', source('multiboot-kernel.ld'), '-o', linked, source('multiboot-kernel.c')],
  ]
  execFileSync('gcc', words)
  execFileSync('objcopy', ['-O', 'binary', linked, kernel])
  return kernel
}

export type Booted = {
  commandLine: string
  modules: { words: string; bytes: number; sha1: string }[]
}

/** Boot a disk; `typed` is what the operator types at the boot prompt. */
export async function bootDisk(disk: string, typed?: string): Promise<Booted> {
  const words = [
    ...['-accel', 'tcg', '-cpu', 'qemu64', '-m', '768', '-nodefaults', '-display', 'none'],
    ...['-drive', `file=${disk},format=raw,if=none,id=disk,snapshot=on`],
    ...['-device', 'virtio-blk-pci,drive=disk'],
    ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=1', '-no-reboot', '-serial', 'stdio'],
  ]
  const qemu = spawn('timeout', ['120', 'qemu-system-x86_64', ...words])
  let said = ''
  let chosen = typed === undefined
  for (const stream of [qemu.stdout, qemu.stderr]) {
    stream.on('data', (data: Buffer) => {
      said += data.toString('latin1').replaceAll('\r', '')
      if (chosen || !said.includes('boot:')) return
      chosen = true
      qemu.stdin.write(`${typed}\r`)
    })
  }
  const status = await new Promise<number | null>((done) => qemu.on('close', done))
  const commandLine = /^BOOTED (.*)$/m.exec(said)?.[1]
  if (status !== 33 || commandLine === undefined) {
    throw new Error(`It did not boot (${status}):\n${said.slice(-2000)}`)
  }
  const modules = [...said.matchAll(/^MODULE (.*) (\d+) ([0-9a-f]{40})$/gm)].map(
    ([, words, bytes, sha1]) => ({ words: words!, bytes: Number(bytes), sha1: sha1! }),
  )
  return { commandLine, modules }
}
