/** AlmaLinux. Keys: https://wiki.almalinux.org/documentation/installation-guide.html; 8 has had two. */
import type { Distro, Release } from './distro.ts'
import { elDistro, elKey, elRelease, elRepositories } from './el.ts'

const site = 'https://repo.almalinux.org'

const release = (version: string, endOfLife: string, ...fingerprints: string[]): Release => ({
  ...elRelease(version),
  endOfLife,
  identity: {
    tree: new RegExp(`^AlmaLinux ${version}(\\.\\d+)* x86_64$`),
    label: new RegExp(`^AlmaLinux-${version}-\\d+-x86_64-`),
  },
  repositories: elRepositories(`${site}/almalinux`, version),
  media: {
    roots: [`${site}/almalinux/${version}/isos/x86_64/`],
    sums: 'CHECKSUM',
    signature: 'inside',
    file: new RegExp(`^AlmaLinux-(?<point>${version}\\.\\d+)-x86_64-boot\\.iso$`),
    key: elKey(`${site}/almalinux/RPM-GPG-KEY-AlmaLinux-${version}`, ...fingerprints),
  },
  cloudMedia: {
    roots: [`${site}/almalinux/${version}/cloud/x86_64/images/`],
    sums: 'CHECKSUM',
    signature: { beside: 'CHECKSUM.asc' },
    file: new RegExp(
      `^AlmaLinux-${version}-GenericCloud-(?<point>${version}\\.\\d+)-\\d{8}(\\.\\d+)?\\.x86_64\\.qcow2$`,
    ),
    key: elKey(`${site}/almalinux/RPM-GPG-KEY-AlmaLinux-${version}`, ...fingerprints),
  },
})

export const almalinux: Distro = {
  ...elDistro,
  name: 'almalinux',
  title: 'AlmaLinux',
  homepage: 'https://almalinux.org/',
  environment: { EFI_VENDOR: 'almalinux' },
  releases: [
    release(
      '8',
      '2029-05-31',
      'BC5EDDCADF502C077F1582882AE81E8ACED7258B',
      '5E9B8F5617B5066CE92057C3488FCF7C3ABB34F8', // until January 2024
    ),
    release('9', '2032-05-31', 'BF18AC2876178908D6E71267D36CB86CB86B3716'),
    release('10', '2035-05-31', 'EE6DB7B98F5BF5EDD9DA0DE5DEE5C11CC2A1E572'),
  ],
}
