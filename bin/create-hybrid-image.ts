/**
 * Build an image from any installer ISO that installs by itself, with the classic tool's flags.
 *
 *   ./bin/create-hybrid-image -i installer.iso -n my-image -d 'My image' -u https://example.com/
 *
 * Prints the manifest's path; the image and the serial log are beside it.
 */
import { log } from '../lib/cli/log.ts'
import { main } from '../lib/cli/main.ts'
import {
  commonOptions,
  parseCount,
  parseList,
  parseName,
  parseSize,
  parseUrl,
} from '../lib/cli/options.ts'
import { step } from '../lib/cli/progress.ts'
import { defaultDisk, diskOptions } from '../lib/disk/disk.ts'
import { firmwareTool } from '../lib/host/firmware.ts'
import { chooseHypervisor, hypervisorTools } from '../lib/host/hypervisor.ts'
import { ensureTools, TOOLS } from '../lib/host/tools.ts'
import { createHybridImage, prepareHybridImage } from '../lib/image/hybrid-image.ts'
import { HARDWARE, hardware } from '../lib/machine/hardware.ts'
import { machineOptions } from '../lib/machine/options.ts'

const command = {
  name: 'create-hybrid-image',
  summary: 'Install from an ISO in a virtual machine, and make an image of its disk.',
  words: [],
  rest: 'QEMUARGS',
  details: [
    'The installer has to install by itself and to power off or reboot at its end. Where it prints',
    'JOYENT_STATUS_<NAME>=ok|fail on the first serial port, one that is not ok ends the build; --markers',
    'names those that have to come. What follows -- is handed to QEMU, or to bhyve, as it is.',
  ],
  options: {
    iso: { short: 'i', arg: 'ISO', required: true, help: 'installation medium' },
    name: { short: 'n', arg: 'NAME', required: true, parse: parseName, help: 'name of the image' },
    description: { short: 'd', arg: 'TEXT', required: true, help: 'what the image is' },
    homepage: {
      short: 'u',
      arg: 'URL',
      required: true,
      parse: parseUrl,
      help: 'where more about it is to be read',
    },
    prototype: {
      short: 'p',
      arg: 'FILE',
      help: "manifest with tokens such as @NAME@ to be filled in (default: this project's own)",
    },
    output: { short: 'o', arg: 'DIR', default: '.', help: 'where the image goes' },
    'zfs-dir': {
      short: 'z',
      arg: 'DIR',
      help: 'where the disk is built: a directory for a file (default $TMPDIR or /var/tmp), a dataset for a zvol (default: the one at /data)',
    },
    size: { arg: 'SIZE', default: '10G', parse: parseSize, help: 'size of the disk' },
    ...diskOptions,
    markers: {
      arg: 'NAME,...',
      parse: parseList,
      help: 'markers that have to say ok, as in PRE,POST',
    },
    firmware: { arg: 'NAME', choices: ['bios', 'uefi'], default: 'bios', help: 'install from' },
    hardware: { arg: 'NAME', choices: HARDWARE, default: 'kvm', help: 'devices of the machine' },
    ...machineOptions,
    reboots: {
      arg: 'N',
      parse: parseCount,
      help: 'how often the guest reboots before it is done: each time it goes on from its disk, without CD',
    },
    'refuse-leftovers': {
      help: 'make no image of a disk that holds keys, passwords, logs and the like, in place of a warning',
    },
    json: { help: 'print the result as JSON' },
    keep: { help: 'keep the disk and the serial log, for a look' },
    install: { default: true, help: 'do not install missing host packages: say what is missing' },
    ...commonOptions,
  },
  examples: [
    "./bin/create-hybrid-image -i installer.iso -n my-image -d 'My image' -u https://example.com/",
    "./bin/create-hybrid-image -i dvd.iso -n centos-6 -d 'CentOS 6' -u https://example.com/ -p manifest.in -o bits --markers PRE,POST -- -kernel vmlinuz -initrd initrd.img -append 'ks=cdrom console=ttyS0'",
  ],
} as const

await main(command, async ({ options, rest, scope }) => {
  const prepared = await prepareHybridImage(
    {
      ...options,
      disk: options.disk ?? defaultDisk(),
      diskDir: options['zfs-dir'],
      diskBytes: options.size,
      blockBytes: options.volblocksize,
      memoryMiB: options.memory / 1024 ** 2,
      reboots: options.reboots ?? 0,
      refuseLeftovers: options['refuse-leftovers'],
      limit: options.timeout,
      extra: rest,
    },
    new Date(),
  )
  const hypervisor = await step('Check the host', async () => {
    const { machine, accel, 'qemu-binary': qemu, firmware } = options
    const { family } = hardware[options.hardware]
    const uefi = firmware === 'uefi' && machine === 'qemu'
    const tools = [
      ...hypervisorTools({ machine, accel, qemu }),
      ...(uefi ? [firmwareTool(family)] : []),
      ...[TOOLS.qemuImg, TOOLS.libdeflateGzip],
    ]
    await ensureTools(tools, { install: options.install })
    return chooseHypervisor({ machine, accel, qemu })
  })
  const result = await createHybridImage(prepared, hypervisor, scope)
  log.info(`On SmartOS: imgadm install -m ${result.manifest} -f ${result.image.path}`)
  console.log(options.json ? JSON.stringify(result, undefined, 2) : result.manifest)
})
