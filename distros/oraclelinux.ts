/**
 * Oracle Linux. Keys and lists: https://linux.oracle.com/security/gpg/. Media have no list beside them: a
 * page links to all, and the list's name has the update in it. Cloud images have no list: their digests are on
 * https://yum.oracle.com/oracle-linux-templates.html, for people to read, and --base takes one of them.
 */
import type { Distro, Release } from './distro.ts'
import { elDistro, elKey, elRelease } from './el.ts'

const site = 'https://yum.oracle.com'

const release = (version: string, endOfLife: string, key: string): Release => ({
  ...elRelease(version),
  endOfLife,
  identity: {
    tree: new RegExp(`^Oracle Linux ${version}(\\.\\d+)* x86_64$`),
    label: new RegExp(`^OL-${version}-\\d+-\\d+-BaseOS-x86_64$`),
  },
  repositories: {
    mirror: `${site}/repo/OracleLinux`,
    base: `OL${version}/baseos/latest/x86_64/`,
    others: [{ name: 'AppStream', path: `OL${version}/appstream/x86_64/` }],
  },
  media: {
    roots: [`${site}/oracle-linux-isos.html`],
    linked: true,
    sums: `https://linux.oracle.com/security/gpg/checksum/OracleLinux-R${version}-U$1-Server-x86_64.checksum`,
    signature: 'inside',
    file: new RegExp(`^OracleLinux-R${version}-U(?<minor>\\d+)-x86_64-boot\\.iso$`),
    key: elKey(`${site}/RPM-GPG-KEY-oracle-ol${version}`, key),
  },
})

export const oraclelinux: Distro = {
  ...elDistro,
  name: 'oraclelinux',
  title: 'Oracle Linux',
  homepage: 'https://www.oracle.com/linux/',
  environment: { EFI_VENDOR: 'redhat' },
  releases: [
    release('8', '2029-07-31', '76FD3DB13AB67410B89DB10E82562EA9AD986DA3'),
    release('9', '2032-06-30', '3E6D826D3FBAB389C2F38E34BC4D06A08D8B756F'),
    release('10', '2035-06-30', '3E6D826D3FBAB389C2F38E34BC4D06A08D8B756F'),
  ],
}
