/**
 * How long test-image takes, against the least that a boot test can cost: the same disk booted by
 * QEMU alone to its log-in prompt, from BIOS and UEFI side by side, without metadata or checks.
 *
 *   node lib/cli/launcher.js bench/test-image.ts bits/debian-12/.../debian-12-20261121.imgmanifest
 */
import { spawn } from 'node:child_process'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chooseQemu } from '../lib/host/hypervisor.ts'
import { needFirmware } from '../lib/host/firmware.ts'
import { measure, table } from './measure.ts'

const manifest = process.argv[2]
if (!manifest) throw new Error('Name a manifest')
const root = fileURLToPath(new URL('..', import.meta.url))
const dir = await mkdtemp('/var/tmp/bench-')
try {
  const started = performance.now()
  await measure(
    `${root}bin/test-image ${manifest} --output ${dir} --json`,
    join(dir, 'result.json'),
  )
  const ours = (performance.now() - started) / 1000

  const raw = join(dir, 'disk.raw')
  await measure(`${root}bin/convert-image ${manifest.replace(/imgmanifest$/, 'zfs.gz')} ${raw}`)
  const accelerator = (await chooseQemu({ accel: 'auto', qemu: undefined })).accelerator
  const { code, variables } = needFirmware('pc-i440fx')
  const boot = async (firmware: 'bios' | 'uefi') => {
    const own = join(dir, `${firmware}.fd`)
    await copyFile(variables, own)
    const flash =
      firmware === 'uefi'
        ? [
            '-drive',
            `if=pflash,format=raw,readonly=on,file=${code}`,
            '-drive',
            `if=pflash,format=raw,file=${own}`,
          ]
        : []
    const began = performance.now()
    const machine = spawn('qemu-system-x86_64', [
      ...['-accel', accelerator.name, '-cpu', accelerator.cpu, '-m', '1024M', '-display', 'none'],
      ...['-drive', `file=${raw},format=raw,if=virtio,snapshot=on`, '-serial', 'stdio', ...flash],
    ])
    let text = ''
    await new Promise<void>((done, fail) => {
      machine.stdout.on('data', (data) => /^\S+ login:/m.test((text += data)) && done())
      machine.on('close', () => fail(new Error(`QEMU ended under ${firmware}`)))
    })
    machine.removeAllListeners('close').kill('SIGKILL')
    return (performance.now() - began) / 1000
  }
  const [bios, uefi] = await Promise.all([boot('bios'), boot('uefi')])
  const bare = Math.max(bios, uefi)
  console.log(
    table([
      ['', 'seconds', 'ratio'],
      [
        `QEMU alone (${accelerator.name}), both firmwares to the log-in prompt`,
        bare.toFixed(1),
        '1.00',
      ],
      ['test-image, all checks', ours.toFixed(1), (ours / bare).toFixed(2)],
    ]),
  )
} finally {
  await rm(dir, { recursive: true, force: true })
}
