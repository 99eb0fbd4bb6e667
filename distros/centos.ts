/**
 * CentOS: the old releases out of the vault, and Stream, whose media change all the time and whose lists
 * nobody signs. Keys: https://www.centos.org/keys/
 */
import type { Distro, Release } from './distro.ts'
import {
  el6Installer,
  el6Packages,
  elDistro,
  elKey,
  elRelease,
  elRepositories,
  noCloudImage,
} from './el.ts'

const vault = 'https://vault.centos.org'

/** A release whose packages are in the vault only. */
const outOf = (point: string) => ({
  ...noCloudImage,
  setup: [...elDistro.setup, 'centos/vault.sh'],
  environment: { EFI_VENDOR: 'centos', VAULT: point },
})

const stream = (version: string, endOfLife: string): Release => ({
  ...elRelease(version),
  version: `stream${version}`,
  title: `CentOS Stream ${version}`,
  endOfLife,
  identity: {
    tree: new RegExp(`^CentOS Stream ${version} x86_64$`),
    label: new RegExp(`^CentOS-Stream-${version}-BaseOS-x86_64$`),
  },
  repositories: elRepositories('https://mirror.stream.centos.org', `${version}-stream`),
  media: {
    roots: [`https://mirror.stream.centos.org/${version}-stream/BaseOS/x86_64/iso/`],
    sums: 'SHA256SUM',
    signature: 'none',
    file: new RegExp(`^CentOS-Stream-${version}-(?<point>\\d{8}\\.\\d+)-x86_64-boot\\.iso$`),
    key: undefined,
  },
  cloudMedia: {
    roots: [`https://cloud.centos.org/centos/${version}-stream/x86_64/images/`],
    sums: 'CHECKSUM',
    signature: 'none',
    file: new RegExp(
      `^CentOS-Stream-GenericCloud-${version}-(?<point>\\d{8}\\.\\d+)\\.x86_64\\.qcow2$`,
    ),
    key: undefined,
  },
})

export const centos: Distro = {
  ...elDistro,
  name: 'centos',
  title: 'CentOS',
  homepage: 'https://www.centos.org/',
  environment: { EFI_VENDOR: 'centos' },
  releases: [
    {
      version: '6',
      codename: 'Final',
      endOfLife: '2020-11-30',
      kernel: 'kernel',
      packages: [],
      firmware: 'bios',
      values: { EPEL: 'http://archives.fedoraproject.org/pub/archive/epel/6/x86_64/' },
      system: {
        ...noCloudImage,
        rootTar: undefined, // its tar knows no ACLs
        packages: el6Packages,
        setup: ['el6/setup.sh', 'centos/vault.sh'],
        environment: { VAULT: '6.10' },
      },
      installer: el6Installer,
      identity: { tree: /^CentOS 6(\.\d+)* x86_64$/, label: /^CentOS(_6\.10_Final)?$/ },
      repositories: {
        mirror: 'http://vault.centos.org',
        base: '6.10/os/x86_64/',
        others: [
          { name: 'extras', path: '6.10/extras/x86_64/' }, // has cloud-init
          { name: 'updates', path: '6.10/updates/x86_64/' },
        ],
      },
      media: {
        roots: [
          `${vault}/6.10/isos/x86_64/`,
          'https://archive.kernel.org/centos-vault/6.10/isos/x86_64/',
        ],
        sums: 'sha256sum.txt.asc',
        signature: 'inside',
        file: /^CentOS-(?<point>6\.10)-x86_64-netinstall\.iso$/,
        key: elKey(
          'https://www.centos.org/keys/RPM-GPG-KEY-CentOS-6',
          'C1DAC52D1664E8A4386DBA430946FCA2C105B9DE',
        ),
      },
    },
    {
      version: '7',
      codename: 'Core',
      endOfLife: '2024-06-30',
      kernel: 'kernel',
      packages: ['pyserial', 'python3'],
      values: { EULA: 'yes' },
      system: outOf('7.9.2009'),
      identity: { tree: /^CentOS 7(\.\d+)* x86_64$/, label: /^CentOS 7 x86_64$/ },
      repositories: {
        mirror: 'http://vault.centos.org',
        base: '7.9.2009/os/x86_64/',
        others: [
          { name: 'extras', path: '7.9.2009/extras/x86_64/' },
          { name: 'updates', path: '7.9.2009/updates/x86_64/' },
        ],
      },
      media: {
        roots: [`${vault}/7.9.2009/isos/x86_64/`],
        sums: 'sha256sum.txt.asc',
        signature: 'inside',
        file: /^CentOS-7-x86_64-NetInstall-2009\.iso$/,
        key: elKey(
          'https://www.centos.org/keys/RPM-GPG-KEY-CentOS-7',
          '6341AB2753D78A78A7C27BB124C6A8A7F4A80EB5',
        ),
      },
    },
    {
      ...elRelease('8'),
      system: outOf('8.5.2111'),
      endOfLife: '2021-12-31',
      identity: { tree: /^CentOS Linux 8(\.\d+)* x86_64$/, label: /^CentOS-8-5-2111-x86_64-dvd$/ },
      repositories: elRepositories(vault, '8.5.2111'),
      media: {
        roots: [`${vault}/8.5.2111/isos/x86_64/`],
        sums: 'CHECKSUM',
        signature: { beside: 'CHECKSUM.asc' },
        file: /^CentOS-(?<point>8\.5\.2111)-x86_64-boot\.iso$/,
        key: elKey(
          'https://www.centos.org/keys/RPM-GPG-KEY-CentOS-Official',
          '99DB70FAE1D7CE227FB6488205B555B38483C65D',
        ),
      },
    },
    stream('9', '2027-05-31'),
    stream('10', '2030-05-31'),
  ],
}
