/**
 * Ubuntu, server releases with long-term support. Dates: https://ubuntu.com/about/release-cycle; keys:
 * https://wiki.ubuntu.com/SecurityTeam/FAQ#GPG_Keys_used_by_Ubuntu
 */
import { debian, debianPackages } from './debian.ts'
import type { Arch, Distro, Release, ReleaseMedia } from './distro.ts'

const MIRROR = 'http://archive.ubuntu.com/ubuntu'
const SECURITY_MIRROR = 'http://security.ubuntu.com/ubuntu'
/** What is not for PCs has a mirror of its own, with the security updates on it. */
const PORTS = 'http://ports.ubuntu.com/ubuntu-ports'
const OLD = 'http://old-releases.ubuntu.com/ubuntu'
const COMPONENTS = ['main', 'restricted', 'universe', 'multiverse']
const KEYRING = '/usr/share/keyrings/ubuntu-archive-keyring.gpg' // package ubuntu-keyring
const CLOUD_KEYRING = '/usr/share/keyrings/ubuntu-cloudimage-keyring.gpg' // Ubuntu's own ubuntu-keyring
const keyAt = (fingerprint: string) =>
  `https://keyserver.ubuntu.com/pks/lookup?op=get&search=0x${fingerprint}`

/** "Ubuntu CD Image Automatic Signing Key (2012)" */
const MEDIA_KEY = '843938DF228D22F7B3742BC0D94AA3F0EFE21092'
/** "UEC Image Automatic Signing Key", which signs the lists of cloud images */
const CLOUD_KEY = 'D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81'
/** "Ubuntu Archive Automatic Signing Key (2018)", which signs all releases from 18.10 on */
const ARCHIVE_KEY = 'F6ECB3762474EDA9D21B7022871920D1991BC93C'

const cloudMedia = (version: string, codename: string, arch: Arch = 'amd64'): ReleaseMedia => ({
  roots: [`https://cloud-images.ubuntu.com/releases/${codename}/release/`],
  sums: 'SHA256SUMS',
  signature: { beside: 'SHA256SUMS.gpg' },
  file: new RegExp(`^ubuntu-${version}-server-cloudimg-${arch}\\.img$`),
  key: { fingerprints: [CLOUD_KEY], file: CLOUD_KEYRING, url: keyAt(CLOUD_KEY) },
})

const release = (
  version: string,
  codename: string,
  endOfLife: string,
  { packages, source }: { packages: readonly string[]; source: string },
): Release => ({
  version,
  codename,
  endOfLife,
  kernel: 'linux-image-virtual',
  hardwareKernel: 'linux-image-generic',
  packages,
  values: { SOURCE: source },
  identity: {
    info: new RegExp(`^Ubuntu-Server ${version}(\\.\\d+)? LTS .* amd64\\b`),
    label: new RegExp(`^Ubuntu-Server ${version}(\\.\\d+)? LTS amd64$`),
  },
  media: {
    roots: [
      `https://releases.ubuntu.com/${codename}/`,
      `https://old-releases.ubuntu.com/releases/${codename}/`,
    ],
    sums: 'SHA256SUMS',
    signature: { beside: 'SHA256SUMS.gpg' },
    file: new RegExp(`^ubuntu-(?<point>${version}(\\.\\d+)?)-live-server-amd64\\.iso$`),
    key: { fingerprints: [MEDIA_KEY], file: KEYRING, url: keyAt(MEDIA_KEY) },
  },
  cloudMedia: cloudMedia(version, codename),
})

const amd64 = {
  name: 'ubuntu',
  title: 'Ubuntu',
  homepage: 'https://ubuntu.com/server',
  defaultUser: 'root',
  maas: { user: 'ubuntu', own: true },
  libvirt: true,
  releases: [
    // its installer knows one system only, the full one
    release('20.04', 'focal', '2025-05-31', { packages: ['lz4'], source: '' }),
    release('22.04', 'jammy', '2027-06-01', {
      packages: ['zstd'], // what update-initramfs packs with
      source: 'ubuntu-server-minimal',
    }),
    release('24.04', 'noble', '2029-05-31', {
      packages: ['systemd-resolved', 'zstd'],
      source: 'ubuntu-server-minimal',
    }),
  ],
  packages: [
    ...debianPackages,
    'apparmor',
    // both boot loaders; cloud-init tells grub-pc which disk it is on, instance by instance
    ...['grub-pc', 'grub-efi-amd64-bin', 'grub-efi-amd64-signed'],
  ],
  bootstrap: {
    securityMirror: SECURITY_MIRROR,
    mirrors: [
      { main: MIRROR, security: SECURITY_MIRROR },
      { main: OLD, security: OLD, archived: true },
    ],
    // Both are one there.
    snapshots: {
      main: 'https://snapshot.ubuntu.com/ubuntu/{snapshot}',
      security: 'https://snapshot.ubuntu.com/ubuntu/{snapshot}',
    },
    components: COMPONENTS,
    layoutPackages: { plain: [], lvm: ['lvm2'] },
    keyring: { file: KEYRING, fingerprints: [ARCHIVE_KEY], url: keyAt(ARCHIVE_KEY) },
    efiVendor: 'ubuntu',
    point: { file: '/usr/lib/os-release', pattern: /^VERSION="(\d[\d.]+)/m },
    initramfs: 'debian/initramfs.sh',
    bootLoader: 'debian/boot-loader.sh',
    bootPackages: ['shim-signed', 'grub-pc', 'grub-efi-amd64-bin', 'grub-efi-amd64-signed'],
  },
  // What its installer leaves for a first boot, a cloud image has as well.
  cloudImage: {
    packages: 'debian/packages.sh',
    finish: ['debian/kernels.sh', 'ubuntu/installed.sh', 'debian/cloud-image.sh'],
  },
  installer: {
    boot: [{ kernel: '/casper/vmlinuz', initrd: '/casper/initrd' }],
    // Words behind "---" would be the new system's; it gets its own.
    kernelArguments: ['console=ttyS0,115200n8', 'autoinstall', 'fsck.mode=skip', 'net.ifnames=0'],
    answers: [
      {
        to: 'user-data',
        from: ['ubuntu/autoinstall.cfg', { plain: 'ubuntu/plain.cfg', lvm: 'ubuntu/lvm.cfg' }],
        mode: 0o644,
      },
      { to: 'meta-data', from: ['ubuntu/meta-data'], mode: 0o644 },
      { to: 'early', from: ['ubuntu/early'], mode: 0o755 },
      { to: 'late', from: ['ubuntu/late'], mode: 0o755 },
    ],
    ownAnswers: 'user-data',
    carrier: { cd: 'CIDATA' }, // the label that cloud-init, which starts the installer, looks for
    guest: 'files',
    installed: ['ubuntu/installed.sh', ...debian.installer.installed],
    phases: [
      { title: 'Kernel', begins: /Linux version / },
      { title: 'Live system', begins: /Reached target|cloud-init\[\d+\]|Cloud-init v/ },
      { title: 'Installer', begins: /JOYENT_STATUS_PRE=/ },
      { title: 'Partitions', begins: /subiquity.*(curtin.*partitioning|block-meta)/ },
      { title: 'Base system', begins: /subiquity.*curtin.*extract/ },
      { title: 'Packages', begins: /subiquity.*(curthooks|postinstall)/ },
      { title: 'Set-up', begins: /subiquity.*Late\/run/ },
    ],
    question: /^Continue with autoinstall\? \(yes\|no\)|^ *Willkommen! Bienvenue!/m,
    complaint:
      /\b(error|fatal)\b|Traceback|finish: .*: FAIL|^E: |Unable to|exited with status [1-9]/i,
    markers: ['PRE', 'POST'],
    memory: '3G', // its live system is there as a whole
    limits: { silentSeconds: 1800, seconds: 7200 },
  },
  setup: [...debian.setup, 'ubuntu/setup.sh'],
  rootTar: debian.rootTar,
  cleanUp: debian.cleanUp,
  environment: { COMPONENTS: COMPONENTS.join(' '), MIRROR, SECURITY_MIRROR },
} as const satisfies Distro

const bootPackages = ['shim-signed', 'grub-efi-arm64', 'grub-efi-arm64-signed']

export const ubuntu: Distro = {
  ...amd64,
  others: {
    arm64: {
      releases: amd64.releases.map((one) => ({
        ...one,
        cloudMedia: cloudMedia(one.version, one.codename, 'arm64'),
      })),
      packages: [...new Set([...debianPackages, 'apparmor', ...bootPackages])],
      bootstrap: {
        ...amd64.bootstrap,
        bootPackages,
        securityMirror: PORTS,
        mirrors: [
          { main: PORTS, security: PORTS },
          { main: OLD, security: OLD, archived: true },
        ],
      },
      environment: { ...amd64.environment, MIRROR: PORTS, SECURITY_MIRROR: PORTS },
    },
  },
}
