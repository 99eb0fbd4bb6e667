/**
 * Hands golden images to libvirt hosts: as a volume of a pool, through virsh, or as a file of a pool's directory.
 * Instances are made over it, each with a disk of its own that has only what differs.
 */
import { resolve } from 'node:path'
import { BuildError } from '../cli/errors.ts'
import { log } from '../cli/log.ts'
import type { Options, OptionTable } from '../cli/options.ts'
import { act } from '../cli/run.ts'
import { stopSignal } from '../cli/session.ts'
import { shellWord } from '../cli/shell-words.ts'
import { publishVolume } from './libvirt-volume.ts'
import { publishFile } from './pool-directory.ts'
import type { Publication, Published, Publisher } from './publisher.ts'
import { transferReport } from './rate.ts'
import { virshAt } from './virsh.ts'

/** Without defaults and variables here: only what was said is known to be meant for this publisher. */
export const libvirtOptions = {
  connect: {
    arg: 'URI',
    help: 'libvirt: its host in the words of virsh, as in qemu+ssh://host/system (or $LIBVIRT_DEFAULT_URI; default qemu:///system)',
  },
  pool: { arg: 'NAME', help: 'libvirt: storage pool whose volumes are files (default default)' },
  'pool-dir': {
    arg: 'DIR',
    help: "libvirt: that pool's directory, on this machine: the image is copied into it",
  },
} as const satisfies OptionTable

export function libvirtPublisher(
  options: Options<typeof libvirtOptions>,
  env: NodeJS.ProcessEnv = process.env,
): Publisher {
  const { pool = 'default', 'pool-dir': directory } = options
  const connect = options.connect ?? (env['LIBVIRT_DEFAULT_URI'] || 'qemu:///system')
  return {
    async publish(publication, scope, report) {
      const { image } = publication
      if (image.format !== 'qcow2') {
        throw new BuildError(`Cannot publish "${image.path}" to libvirt: it is ${image.format}`, {
          hint: 'Make a qcow2 image of it: convert-image IN OUT.qcow2',
        })
      }
      const name = volumeName(publication)
      const path = directory === undefined ? undefined : resolve(directory, name)
      const where = path ?? `vol=${pool}/${name} at ${connect}`
      const published = (existed: boolean): Published => ({
        where,
        existed,
        lines: instanceLines({ connect, pool, name, path, instance: `my-${publication.name}` }),
      })
      return act(
        path === undefined
          ? `upload ${image.path} as volume ${pool}/${name} at ${connect}`
          : `copy ${image.path} to ${path}`,
        async () => {
          const onBytes = transferReport(image.bytes, report)
          const virsh = virshAt(connect)
          const existed =
            directory === undefined
              ? await publishVolume(virsh, { pool, name }, image, scope, onBytes)
              : await publishFile(resolve(directory), name, image, scope, onBytes)
          if (existed) log.info(`${where} is there already, and the same`)
          else if (directory !== undefined) {
            // The file is there whether libvirt runs or not; it looks again when it starts the pool.
            await virsh
              .run(`have pool "${pool}" look for it`, ['pool-refresh', '--pool', pool])
              .catch((error: unknown) => {
                if (stopSignal().aborted || !(error instanceof BuildError)) throw error
                log.warn(error.message)
              })
          }
          return published(existed)
        },
        published(false),
      )
    },
  }
}

/** `debian-12-20260508.qcow2`: each build its own volume, as instances stand on the older ones. */
export function volumeName({ name, version, stamp }: Publication): string {
  const build = version ?? stamp
  return build === undefined ? `${name}.qcow2` : `${name}-${build}.qcow2`
}

type Instance = {
  connect: string
  pool: string
  name: string
  path: string | undefined
  instance: string
}

/** An instance: its disk over the volume, and its machine, with a seed for cloud-init. */
function instanceLines({ connect, pool, name, path, instance }: Instance): string[] {
  const at = `--connect ${shellWord(connect)}`
  const own = shellWord(`${instance}.qcow2`)
  const disk =
    path === undefined
      ? `vol=${pool}/${instance}.qcow2`
      : `size=20,backing_store=${path},backing_format=qcow2`
  const overlay =
    `virsh ${at} vol-create-as ${shellWord(pool)} ${own} 20G --format qcow2 ` +
    `--backing-vol ${shellWord(name)} --backing-vol-format qcow2`
  const install = [
    `virt-install ${at} --import --name ${shellWord(instance)} --memory 1024 --vcpus 2`,
    `--osinfo linux2020 --disk ${shellWord(disk)} --network network=default`,
    '--graphics none --noautoconsole --cloud-init clouduser-ssh-key="$HOME/.ssh/id_ed25519.pub"',
  ].join(' ')
  return path === undefined
    ? [`An instance's disk over it: ${overlay}`, `The instance: ${install}`]
    : [`An instance over it: ${install}`]
}
