/**
 * Golden images for libvirt hosts: small, generic, set up by cloud-init on an instance's first boot from a
 * NoCloud seed, which is what virt-install gives. What is the operator's own to decide is a variable.
 *
 * Source: virt-install(1), --import, --cloud-init; ../../cloud-init/libvirt is what the guest has.
 */
import { shellWord } from '../cli/shell-words.ts'
import type { Finished, Target } from './target.ts'
import type { VariableTable } from './variables.ts'

const YES_OR_NO = { pattern: /^(yes|no)$/, wants: 'yes or no' }
const COUNT = { pattern: /^[1-9]\d{0,8}$/, wants: 'a whole number above zero' }

const variables = {
  admin_user: {
    default: 'admin',
    help: 'user that cloud-init makes on the first boot, in the groups adm, sudo and sudonp',
    pattern: /^[a-z_][a-z0-9_-]{0,30}$/,
    wants: 'a user name, as in admin',
  },
  admin_description: {
    default: 'Administrator',
    help: 'full name of that user',
    pattern: /^[\w .@()+-]{1,80}$/,
    wants: 'letters, digits, blanks and . @ ( ) + - between them',
  },
  packages: {
    default: 'etckeeper,git,unattended-upgrades,qemu-guest-agent',
    help: 'packages beside those of every image',
    pattern: /^([a-z0-9][a-z0-9+.-]+([ ,]+(?=[a-z0-9])|$))*$/,
    wants: 'names of packages with commas between them',
  },
  ssh_key_types: {
    default: 'ed25519,rsa',
    help: 'kinds of SSH host keys that an instance makes for itself',
    pattern: /^(ed25519|rsa|ecdsa)(,(ed25519|rsa|ecdsa))*$/,
    wants: 'of ed25519, rsa, ecdsa, with commas between them',
  },
  automatic_reboot: {
    ...YES_OR_NO,
    default: 'yes',
    help: 'unattended upgrades reboot an instance when one needs it',
  },
  reboot_time: {
    default: '04:00',
    help: 'when they do',
    pattern: /^([01]\d|2[0-3]):[0-5]\d$/,
    wants: 'a time of day, as in 04:00',
  },
  reboot_with_users: {
    ...YES_OR_NO,
    default: 'no',
    help: 'also while somebody is logged in',
  },
  etckeeper_branch: {
    default: 'main',
    help: 'branch of the repository of /etc, where etckeeper is among the packages',
    pattern: /^[A-Za-z0-9][A-Za-z0-9._/-]{0,60}$/,
    wants: 'a branch name, as in main',
  },
  interface: {
    default: 'eth0',
    help: 'first network interface, as systemd-networkd matches names: IPv4 by DHCP, nothing else',
    pattern: /^[A-Za-z0-9*?[\]-]+( [A-Za-z0-9*?[\]-]+)*$/,
    wants: 'a name or pattern, as in eth0 or "en* eth*"',
  },
  route_metric: {
    ...COUNT,
    default: '100',
    help: "metric of that interface's routes; another interface with a lower one is preferred",
  },
  cloud_init_network: {
    ...YES_OR_NO,
    default: 'no',
    help: "the seed's network-config is used in place of that; there eth0 is what to call it",
  },
  run_commands: {
    default: '',
    help: 'shell commands that are run in the image at the end of its set-up, in one line',
    pattern: /^[^\n\r\0]*$/,
    wants: 'one line',
  },
  machine_type: {
    default: '',
    help: "machine that an instance is to have, as in pc-q35-7.2, in place of virt-install's own choice",
    pattern: /^([a-z0-9][a-z0-9.-]*)?$/,
    wants: 'a machine type, as in q35',
  },
  vm_memory: {
    ...COUNT,
    default: '1024',
    help: 'MiB of memory of an instance, for the virt-install line',
  },
  vm_cpus: { ...COUNT, default: '2', help: 'processors of an instance, for the virt-install line' },
  compression: {
    default: 'zlib',
    help: 'of the image file: zlib, which all can read, zstd (QEMU 5.1 and later) or none',
    pattern: /^(zlib|zstd|none)$/,
    wants: 'zlib, zstd or none',
  },
} as const satisfies VariableTable

export const libvirt: Target = {
  name: 'libvirt',
  about: '64-bit golden image for libvirt, set up by cloud-init from a NoCloud seed',
  madeFor: 'libvirt',
  refuses: (distro) =>
    distro.libvirt
      ? undefined
      : 'it is set up by systemd-networkd and apt, which that does not have',
  formats: ['qcow2'],
  files: [],
  guestTools: {
    directory: 'cloud-init/libvirt',
    install: 'cloud-init/libvirt/install.sh',
    last: 'cloud-init/libvirt/last.sh',
  },
  variables,
  packages: ({ packages = '' }) => packages.split(/[ ,]+/).filter(Boolean),
  kernelArguments: [
    'console=tty0',
    'console=ttyS0,115200n8',
    // The first interface has one name on every machine type: networkd is told of it.
    'net.ifnames=0',
  ],
  grubTerminals: 'console serial',
  // Not that of clouds, which has no driver of the drive that virt-install puts the seed's CD into.
  hardware: false,
  leftovers: {
    nocloud: 'instances are set up from a NoCloud seed, and an operator may say where it is',
  },
  manifest: false,
  handOver: (finished) => [
    `On the libvirt host: ${virtInstall(finished)}`,
    `Log in as ${finished.variables['admin_user']}, with the key of that line`,
  ],
}

/**
 * The command that makes an instance of an image: a disk over it, and a seed with the operator's key. What is
 * installed is told in general words, as a host's list of systems may be older than the image.
 */
export function virtInstall({ name, arch, image, variables }: Finished): string {
  const { machine_type: machine = '', vm_memory: memory = '', vm_cpus: cpus = '' } = variables
  return [
    'virt-install --import',
    `--name my-${name}`,
    `--memory ${memory}`,
    `--vcpus ${cpus}`,
    ...(arch === 'arm64' ? ['--arch aarch64 --boot uefi'] : []),
    ...(machine === '' ? [] : [`--machine ${machine}`]),
    '--osinfo linux2020',
    `--disk ${shellWord(`size=20,backing_store=${image},backing_format=qcow2`)}`,
    '--network network=default',
    '--graphics none --noautoconsole',
    '--cloud-init clouduser-ssh-key="$HOME/.ssh/id_ed25519.pub"',
  ].join(' ')
}
