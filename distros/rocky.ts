/** Rocky Linux. Keys: https://rockylinux.org/resources/gpg-key-info; 9's lists are not signed. */
import type { Distro, ReleaseMedia } from './distro.ts'
import { elDistro, elKey, elRelease, elRepositories } from './el.ts'

const site = 'https://dl.rockylinux.org'
const folders = (version: string) => [`${site}/pub/rocky/${version}/isos/x86_64/`]
/** The list is signed by nobody: --checksum has to say which image is meant. */
const cloudMedia = (version: string): ReleaseMedia => ({
  roots: [`${site}/pub/rocky/${version}/images/x86_64/`],
  sums: 'CHECKSUM',
  signature: 'none',
  file: new RegExp(
    `^Rocky-${version}-GenericCloud-Base-(?<point>${version}\\.\\d+)-\\d{8}\\.\\d+\\.x86_64\\.qcow2$`,
  ),
  key: undefined,
})
const identity = (version: string) => ({
  tree: new RegExp(`^Rocky Linux ${version}(\\.\\d+)* x86_64$`),
  label: new RegExp(`^Rocky-${version}-\\d+-x86_64-`),
})

export const rocky: Distro = {
  ...elDistro,
  name: 'rocky',
  title: 'Rocky Linux',
  homepage: 'https://rockylinux.org/',
  environment: { EFI_VENDOR: 'rocky' },
  releases: [
    {
      ...elRelease('8'),
      codename: 'Green Obsidian',
      endOfLife: '2029-05-31',
      identity: identity('8'),
      cloudMedia: cloudMedia('8'),
      repositories: elRepositories(`${site}/pub/rocky`, '8'),
      media: {
        roots: folders('8'),
        sums: 'CHECKSUM',
        signature: { beside: 'CHECKSUM.sig' },
        file: /^Rocky-(?<point>8\.\d+)-x86_64-boot\.iso$/,
        key: elKey(
          `${site}/pub/rocky/RPM-GPG-KEY-Rocky-8`,
          '7051C470A929F454CEBE37B715AF5DAC6D745A60',
        ),
      },
    },
    {
      ...elRelease('9'),
      codename: 'Blue Onyx',
      endOfLife: '2032-05-31',
      identity: identity('9'),
      cloudMedia: cloudMedia('9'),
      repositories: elRepositories(`${site}/pub/rocky`, '9'),
      media: {
        roots: folders('9'),
        sums: 'CHECKSUM',
        signature: 'none',
        file: /^Rocky-(?<point>9\.\d+)-x86_64-boot\.iso$/,
        key: undefined,
      },
    },
    {
      ...elRelease('10'),
      codename: 'Red Quartz',
      endOfLife: '2035-05-31',
      identity: identity('10'),
      cloudMedia: cloudMedia('10'),
      repositories: elRepositories(`${site}/pub/rocky`, '10'),
      media: {
        roots: folders('10'),
        sums: 'CHECKSUM',
        signature: { beside: 'CHECKSUM.asc' },
        file: /^Rocky-(?<point>10\.\d+)-x86_64-boot\.iso$/,
        key: elKey(
          `${site}/pub/rocky/RPM-GPG-KEY-Rocky-10`,
          'FC226859C0860BF0DDB95B085B106C736FEDFC85',
        ),
      },
    },
  ],
}
