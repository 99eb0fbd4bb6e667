/** Debian. Releases and dates: https://wiki.debian.org/DebianReleases, https://wiki.debian.org/LTS */
import type { Distro } from './distro.ts'

export const debian: Distro = {
  name: 'debian',
  title: 'Debian',
  homepage: 'https://www.debian.org/',
  defaultUser: 'root',
  releases: [
    {
      version: '11',
      codename: 'bullseye',
      endOfLife: '2026-08-31',
      kernel: 'linux-image-amd64',
      packages: [], // systemd-resolved is part of systemd here
    },
    {
      version: '12',
      codename: 'bookworm',
      endOfLife: '2028-06-30',
      kernel: 'linux-image-amd64',
      packages: ['systemd-resolved', 'zstd'], // zstd: what update-initramfs packs with
    },
    {
      version: '13',
      codename: 'trixie',
      endOfLife: '2030-06-30',
      kernel: 'linux-image-amd64',
      packages: ['systemd-resolved', 'zstd'], // zstd: what update-initramfs packs with
    },
  ],
  securityMirror: 'http://security.debian.org/debian-security',
  mirrors: [
    {}, // mmdebstrap's own default is the vendor's
    {
      main: 'http://archive.debian.org/debian',
      security: 'http://archive.debian.org/debian-security',
      archived: true,
    },
  ],
  components: ['main'],
  keyring: {
    file: '/usr/share/keyrings/debian-archive-keyring.gpg',
    apt: 'debian-archive-keyring',
  },
  packages: [
    // an init system, log-in, time and names
    'systemd-sysv',
    'systemd-timesyncd',
    'libpam-systemd',
    'dbus',
    'udev',
    'tzdata',
    // network: netplan is what cloud-init writes; ifupdown would leave resolvers unset
    'netplan.io',
    'netbase',
    'iproute2',
    'iputils-ping',
    'ca-certificates',
    'curl',
    'openssh-server',
    // configuration from the metadata service, on the second serial port
    'cloud-init',
    'cloud-guest-utils',
    'python3-serial',
    // disks and boot; grub-cloud keeps both boot loaders current on a disk of unknown name
    'initramfs-tools',
    'grub-cloud-amd64',
    'shim-signed',
    'e2fsprogs',
    'dosfstools',
    'fdisk',
    // what an administrator reaches for first
    'apt-utils',
    'bash-completion',
    'less',
    'logrotate',
    'nano',
    'procps',
    'psmisc',
    'sudo',
    'vim-tiny',
  ],
  efiVendor: 'debian',
  setup: ['debian/setup.sh'],
  bootLoader: 'debian/boot-loader.sh',
  cleanUp: 'debian/clean-up.sh',
}
