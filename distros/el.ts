/**
 * What the rebuilds of Red Hat Enterprise Linux share, from 7 on: kickstart, guest scripts, packages.
 * A definition is what differs: where media and packages are, and who signs.
 */
import type { Installer, Release, ReleaseMedia } from './distro.ts'

/** In every image; an administrator's first tools, both boot loaders, and what a guest needs. */
export const elPackages = [
  // both boot loaders, whichever firmware the installer was booted by
  ...['grub2-pc', 'grub2-pc-modules', 'grub2-efi-x64', 'shim-x64', 'grub2-tools', 'efibootmgr'],
  // an initramfs for every hypervisor
  'dracut-config-generic',
  // configuration from the metadata service, on the second serial port
  ...['cloud-init', 'cloud-utils-growpart'],
  ...['chrony', 'firewalld', 'NetworkManager', 'openssh-server', 'tuned'],
  ...['dosfstools', 'lvm2', 'xfsprogs', 'gdisk'],
  ...['bash-completion', 'nfs-utils', 'rsync', 'tar', 'tcpdump', 'vim-minimal'],
]

export const elInstaller: Installer = {
  boot: [{ kernel: '/images/pxeboot/vmlinuz', initrd: '/images/pxeboot/initrd.img' }],
  kernelArguments: [
    'inst.ks=file:/ks.cfg',
    'inst.stage2=hd:LABEL=@LABEL@',
    'inst.text',
    'inst.notmux', // lines on the console, where the usual screen has windows
    'inst.geoloc=0',
    'inst.nosave=all', // logs and answers, which are put into the new system behind our last script
    'console=tty0',
    'console=ttyS0,115200n8',
    'net.ifnames=0',
    'biosdevname=0',
  ],
  answers: [
    {
      to: 'ks.cfg',
      from: ['el/kickstart.cfg', { plain: 'el/plain.cfg', lvm: 'el/lvm.cfg' }, 'el/sections.cfg'],
      mode: 0o644,
    },
  ],
  ownAnswers: 'ks.cfg',
  carrier: 'initrd',
  guest: 'archive', // the initrd is gone when the new system is set up
  packagesOnMedium: ['/BaseOS/repodata/repomd.xml', '/repodata/repomd.xml'],
  installed: ['el/installed.sh'],
  phases: [
    { title: 'Kernel', begins: /Linux version / },
    { title: 'Installer', begins: /Starting installer|anaconda.*(started|starting)/i },
    { title: 'Partitions', begins: /JOYENT_STATUS_PRE=/ },
    {
      title: 'Packages',
      begins: /Starting package installation process|Installing .*\(\d+\/\d+\)/,
    },
    { title: 'Boot loader', begins: /Installing boot loader/ },
    { title: 'Set-up', begins: /Running post-installation scripts/ },
  ],
  question: /^Please make a selection from the above \[|^Press ENTER to (exit|quit)/m,
  complaint:
    /\b(error|fatal)\b|Traceback|The following problem occurred|exited with status [1-9]|Can't find/i,
  markers: ['PRE', 'POST'],
  memory: '3G', // where the installer itself comes from the network
  limits: { silentSeconds: 1800, seconds: 7200 },
}

/** For the scripts and templates of a definition. */
export const elDistro = {
  defaultUser: 'root',
  maas: { user: 'cloud-user', base: 'rhel' },
  packages: elPackages,
  installer: elInstaller,
  cloudImage: {
    packages: 'el/packages.sh',
    finish: ['el/cloud-image.sh', ...elInstaller.installed],
  },
  setup: ['el/setup.sh'],
  // Curtin brings no kernel to these systems, nor a boot loader: both stay in a root tar.
  rootTar: ['el/root-tar.sh'],
  cleanUp: 'el/clean-up.sh',
} as const

/** What a release of 8 and later has, whoever rebuilds it. */
export const elRelease = (version: string) =>
  ({
    version,
    codename: '',
    kernel: 'kernel',
    packages: ['python3-pyserial', 'python3'], // the guest tools are Python
    values: { EULA: 'yes' },
    ...(version === '9' && { cpu: 'x86-64-v2' as const }),
    ...(version === '10' && { cpu: 'x86-64-v3' as const }),
  }) satisfies Partial<Release>

/** BaseOS and AppStream below a mirror, as all of them lay them out. */
export const elRepositories = (mirror: string, folder: string) => ({
  mirror,
  base: `${folder}/BaseOS/x86_64/os/`,
  others: [{ name: 'AppStream', path: `${folder}/AppStream/x86_64/os/` }],
})

/** A signing key on the vendor's site, or in a file of the same name where its packages put it. */
export const elKey = (
  url: string,
  ...fingerprints: string[]
): NonNullable<ReleaseMedia['key']> => ({
  fingerprints,
  file: `/etc/pki/rpm-gpg/${url.split('/').at(-1)}`,
  url,
})

/** A release of which no cloud image is renewed any more. */
export const noCloudImage = { cloudImage: undefined } as const

/** Enterprise Linux 6, whose guest tools and what grows the root partition are from EPEL. */
export const el6Packages = [
  ...['grub', 'cloud-init', 'cloud-utils-growpart', 'dracut-modules-growroot', 'python34'],
  ...['acpid', 'ntp', 'openssh-server', 'lvm2', 'nfs-utils', 'pyserial', 'rsync', 'tar', 'tcpdump'],
  'vim-minimal',
]

/** Its installer takes words without a prefix, and fetches the rest of itself from the mirror. */
export const el6Installer: Partial<Installer> = {
  kernelArguments: [
    ...['ks=file:/ks.cfg', 'ksdevice=eth0', 'cmdline', 'console=tty0', 'console=ttyS0,115200n8'],
  ],
  answers: [
    {
      to: 'ks.cfg',
      from: [
        'el6/kickstart.cfg',
        { plain: 'el6/plain.cfg', lvm: 'el6/lvm.cfg' },
        'el6/sections.cfg',
      ],
      mode: 0o644,
    },
  ],
  packagesOnMedium: ['/repodata/repomd.xml'],
  installed: ['el6/installed.sh'],
  phases: [
    { title: 'Kernel', begins: /Linux version / },
    { title: 'Installer', begins: /anaconda installer init|Running anaconda/ },
    { title: 'Partitions and packages', begins: /JOYENT_STATUS_PRE=/ },
    { title: 'Set-up', begins: /Running post-installation scripts/ },
  ],
}
