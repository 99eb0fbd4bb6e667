/** Debian. Releases and dates: https://wiki.debian.org/DebianReleases, https://wiki.debian.org/LTS */
import type { Arch, Distro, ReleaseMedia } from './distro.ts'

const SECURITY_MIRROR = 'http://security.debian.org/debian-security'
const COMPONENT = 'main'

const media = (file: RegExp): ReleaseMedia => ({
  roots: [
    'https://cdimage.debian.org/debian-cd/current/amd64/iso-cd/',
    'https://cdimage.debian.org/mirror/cdimage/archive/latest-oldstable/amd64/iso-cd/',
    'https://cdimage.debian.org/mirror/cdimage/archive/latest-oldoldstable/amd64/iso-cd/',
  ],
  sums: 'SHA512SUMS',
  signature: { beside: 'SHA512SUMS.sign' },
  file,
  key: {
    // "Debian CD signing key" of 2011, as https://www.debian.org/CD/verify gives it
    fingerprints: ['DF9B 9C49 EAA9 2984 3258  9D76 DA87 E80D 6294 BE9B'],
    file: '/usr/share/keyrings/debian-role-keys.gpg', // package debian-keyring
    url: 'https://www.debian.org/CD/key-DA87E80D6294BE9B.txt',
  },
})

/** The list is signed by nobody: --checksum has to say which image is meant. */
const cloudMedia = (codename: string, version: string, arch: Arch = 'amd64'): ReleaseMedia => ({
  roots: [`https://cloud.debian.org/images/cloud/${codename}/latest/`],
  sums: 'SHA512SUMS',
  signature: 'none',
  file: new RegExp(`^debian-${version}-generic-${arch}\\.qcow2$`),
  key: undefined,
})

/** As /.disk/info has it: `Debian GNU/Linux 13.1.0 "Trixie" - Official amd64 NETINST ...`. */
const identity = (version: string) => ({
  info: new RegExp(
    `^Debian GNU/Linux (${version}\\b|\\D)(?!.*\\b(i386|arm64|armhf|ppc64el|s390x|riscv64)\\b)`,
  ),
})

/** What every image of Debian and its derivatives has. */
export const debianPackages = [
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
  // disks and boot
  'initramfs-tools',
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
]

const amd64 = {
  name: 'debian',
  title: 'Debian',
  homepage: 'https://www.debian.org/',
  defaultUser: 'root',
  maas: { user: 'debian' },
  libvirt: true,
  releases: [
    {
      version: '11',
      codename: 'bullseye',
      endOfLife: '2026-08-31',
      kernel: 'linux-image-amd64',
      packages: [], // systemd-resolved is part of systemd here
      media: media(/^debian-(?<point>11\.\d+)\.\d+-amd64-netinst\.iso$/),
      identity: identity('11'),
      cloudMedia: cloudMedia('bullseye', '11'),
    },
    {
      version: '12',
      codename: 'bookworm',
      endOfLife: '2028-06-30',
      kernel: 'linux-image-amd64',
      packages: ['systemd-resolved', 'zstd'], // zstd: what update-initramfs packs with
      media: media(/^debian-(?<point>12\.\d+)\.\d+-amd64-netinst\.iso$/),
      identity: identity('12'),
      cloudMedia: cloudMedia('bookworm', '12'),
    },
    {
      version: '13',
      codename: 'trixie',
      endOfLife: '2030-06-30',
      kernel: 'linux-image-amd64',
      packages: ['systemd-resolved', 'zstd'], // zstd: what update-initramfs packs with
      media: media(/^debian-(?<point>13\.\d+)\.\d+-amd64-netinst\.iso$/),
      identity: identity('13'),
      cloudMedia: cloudMedia('trixie', '13'),
    },
  ],
  packages: [
    ...debianPackages,
    // both boot loaders, kept current on a disk of unknown name
    'grub-cloud-amd64',
  ],
  bootstrap: {
    securityMirror: SECURITY_MIRROR,
    mirrors: [
      {}, // mmdebstrap's own default is the vendor's
      {
        main: 'http://archive.debian.org/debian',
        security: 'http://archive.debian.org/debian-security',
        archived: true,
      },
    ],
    snapshots: {
      main: 'https://snapshot.debian.org/archive/debian/{snapshot}',
      security: 'https://snapshot.debian.org/archive/debian-security/{snapshot}',
    },
    components: [COMPONENT],
    layoutPackages: { plain: [], lvm: ['lvm2'] },
    keyring: {
      file: '/usr/share/keyrings/debian-archive-keyring.gpg',
      apt: 'debian-archive-keyring',
    },
    efiVendor: 'debian',
    point: { file: '/etc/debian_version', pattern: /^(\d+\.\d+)$/m },
    initramfs: 'debian/initramfs.sh',
    bootLoader: 'debian/boot-loader.sh',
    bootPackages: ['shim-signed', 'grub-cloud-amd64'],
  },
  cloudImage: {
    packages: 'debian/packages.sh',
    finish: ['debian/kernels.sh', 'debian/cloud-image.sh'],
  },
  installer: {
    boot: [
      { kernel: '/install.amd/vmlinuz', initrd: '/install.amd/initrd.gz' },
      { kernel: '/linux', initrd: '/initrd.gz' }, // mini.iso, the medium of the netboot installer
    ],
    kernelArguments: [
      'console=ttyS0,115200n8',
      'auto=true',
      'priority=critical',
      'net.ifnames=0',
      // With the driver of this machine's screen the installer would put it into the new initramfs.
      'modprobe.blacklist=bochs',
      'DEBIAN_FRONTEND=text', // lines, where the usual frontend draws boxes
      'TERM=dumb',
    ],
    answers: [
      {
        to: 'preseed.cfg',
        from: [
          'debian/installer/preseed.cfg',
          { plain: 'debian/installer/plain.cfg', lvm: 'debian/installer/lvm.cfg' },
        ],
        mode: 0o644,
      },
      { to: 'hybrid-images/early', from: ['debian/installer/early'], mode: 0o755 },
      {
        // Behind what saves the installer's logs into the new system, before it is unmounted.
        to: 'usr/lib/finish-install.d/94zz-hybrid-images',
        from: ['debian/installer/finish'],
        mode: 0o755,
      },
    ],
    ownAnswers: 'preseed.cfg',
    carrier: 'initrd',
    guest: 'files',
    securityPath: '/debian-security',
    installed: ['debian/installed.sh'],
    phases: [
      { title: 'Network', begins: /Menu item '(ethdetect|netcfg)' selected/ },
      {
        title: 'Installer components',
        begins: /Menu item '(choose-mirror|download-installer|load-cdrom)' selected/,
      },
      { title: 'Partitions', begins: /Menu item '(disk-detect|partman-base)' selected/ },
      { title: 'Base system', begins: /Menu item 'bootstrap-base' selected/ },
      { title: 'Package sources', begins: /Menu item 'apt-setup-udeb' selected/ },
      { title: 'Packages', begins: /Menu item 'pkgsel' selected/ },
      { title: 'Set-up', begins: /Menu item 'finish-install' selected/ },
    ],
    question: /^Prompt: '\?' for help>/m,
    complaint:
      /\b(error|fatal)\b|ERROR 404|WARNING \*\*|Unable to|Failed to|^E: |exited with status [1-9]/i,
    markers: ['PRE', 'POST'],
    memory: '2G',
    limits: { silentSeconds: 900, seconds: 5400 },
  },
  setup: ['debian/setup.sh'],
  rootTar: ['debian/kernels.sh', 'debian/root-tar.sh'],
  cleanUp: 'debian/clean-up.sh',
  environment: { COMPONENTS: COMPONENT, SECURITY_MIRROR },
} as const satisfies Distro

/** There is no grub-cloud: the package of GRUB for UEFI renews it, on a partition that is mounted. */
const bootPackages = ['shim-signed', 'grub-efi-arm64', 'grub-efi-arm64-signed']

export const debian: Distro = {
  ...amd64,
  others: {
    arm64: {
      releases: amd64.releases.map((release) => ({
        ...release,
        kernel: 'linux-image-arm64',
        cloudMedia: cloudMedia(release.codename, release.version, 'arm64'),
      })),
      packages: [...new Set([...debianPackages, ...bootPackages])],
      bootstrap: { ...amd64.bootstrap, bootPackages },
    },
  },
}
