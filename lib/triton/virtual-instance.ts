/**
 * An instance of the simulated Triton that can be switched on: disks over the image, its metadata on
 * the second serial port, a way in by ssh. Each boot is a new machine, as on SmartOS.
 */
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { $ } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { needFirmware } from '../host/firmware.ts'
import type { QemuHypervisor } from '../host/hypervisor.ts'
import { hardware, type HardwareName, type MachineFirmware } from '../machine/hardware.ts'
import { type QemuMachine, startQemu } from '../machine/qemu-machine.ts'
import type { MachineDisk } from '../machine/spec.ts'
import type { FirmwareName } from './boot-phases.ts'
import { type Instance, makeInstance, metadataOf } from './instance.ts'
import { Metadata } from './metadata.ts'
import { connectMetadata } from './service.ts'
import { type Login, makeKey } from './ssh.ts'

/** What is the same for all instances of a test. */
export type InstanceHost = {
  firmware: FirmwareName
  hardware: HardwareName
  hypervisor: QemuHypervisor
  memoryMiB: number
  cpus: number
  /** User that the instance's keys are for. */
  user: string
  /** Directory for disks and keys. */
  work: string
  serialLog: string
}

export type InstanceSpec = {
  /** Tells apart the instances of a test. */
  number: number
  /** Never written to. */
  image: MachineDisk
  diskBytes: number
  dataBytes: number
  rootPassword?: string
}

export type VirtualInstance = {
  instance: Instance
  /** What it wrote, to make an image of it. */
  disk: MachineDisk
  /** Private key of its root_authorized_keys. */
  key: string
  /** Boot it; the machine lives until the guest reboots or powers off. */
  powerOn(): Promise<{ machine: QemuMachine; login: Login }>
}

/** Make an instance: a disk over the image, an empty one beside it, a key. */
export async function createInstance(
  host: InstanceHost,
  spec: InstanceSpec,
  scope: Scope,
): Promise<VirtualInstance> {
  const { number, image, diskBytes, dataBytes, rootPassword } = spec
  const own = (name: string) => join(host.work, `${name}-${number}`)
  const key = own('key')
  const keys = [await makeKey(key, `of-instance-${number}`)]
  const instance = { ...makeInstance(number, keys), ...(rootPassword && { rootPassword }) }
  const disk: MachineDisk = { path: own('disk.qcow2'), format: 'qcow2' }
  const data: MachineDisk = { path: own('data.qcow2'), format: 'qcow2' }
  await $`qemu-img create -q -f qcow2 -b ${image.path} -F ${image.format} ${disk.path} ${diskBytes}`
  await $`qemu-img create -q -f qcow2 ${data.path} ${dataBytes}`
  const firmware = await firmwareOf(host, own('variables.fd'))

  const powerOn = async () => {
    const machine = await startQemu(
      {
        name: host.firmware,
        hypervisor: host.hypervisor,
        hardware: host.hardware,
        firmware,
        memoryMiB: host.memoryMiB,
        cpus: host.cpus,
        uuid: instance.uuid,
        disks: [disk, data],
        nic: { ...instance, closed: true, forward: { address: instance.address, port: 22 } },
      },
      scope,
      host.serialLog,
    )
    await connectMetadata(machine.metadataSocket, new Metadata(metadataOf(instance)))
    await machine.go()
    return { machine, login: { port: await machine.forwardedPort(), user: host.user, key } }
  }
  return { instance, disk, key, powerOn }
}

/** UEFI keeps variables, which each instance has for itself. */
async function firmwareOf(host: InstanceHost, variables: string): Promise<MachineFirmware> {
  if (host.firmware === 'bios') return 'bios'
  const code = needFirmware(hardware[host.hardware].family)
  await copyFile(code.variables, variables)
  return { code, variables }
}
