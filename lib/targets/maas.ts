/**
 * Images that MAAS deploys with curtin: a root tar (tgz), into which curtin puts kernel and boot loader
 * as it does for the images of MAAS itself, or a disk (ddgz) that is written as it is.
 *
 * Source: curtin, commands/curthooks.py and commands/block_meta.py; ../../cloud-init/maas/curtin-hooks
 * is what it runs of this image.
 */
import { shellWord } from '../cli/shell-words.ts'
import type { Finished, Target } from './target.ts'

export const maas: Target = {
  name: 'maas',
  about: '64-bit image for MAAS, set up by curtin and cloud-init',
  madeFor: 'MAAS',
  formats: ['tgz', 'ddgz'],
  files: [{ from: 'cloud-init/90_maas.cfg', to: '/etc/cloud/cloud.cfg.d/90_maas.cfg' }],
  guestTools: { directory: 'cloud-init/maas', install: 'cloud-init/maas/install.sh' },
  variables: {},
  packages: () => [],
  kernelArguments: ['console=tty0', 'console=ttyS0,115200n8'],
  grubTerminals: 'console serial',
  hardware: true,
  leftovers: {},
  manifest: false,
  handOver: (finished) => [
    `On the MAAS region controller: ${uploadCommand(finished)}`,
    `Log in to a deployed machine as ${finished.user}, with the keys of who deployed it`,
  ],
}

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`

/** The command that hands an image to MAAS. Its names have a prefix; one of our own collides with none. */
export function uploadCommand({ name, title, format, arch, image, base }: Finished): string {
  return [
    'maas admin boot-resources create',
    `name=${quoted(`custom/${name}`)}`,
    `title=${quoted(title)}`,
    `architecture=${quoted(`${arch}/generic`)}`,
    ...(base === undefined ? [] : [`base_image=${quoted(base)}`]),
    `filetype=${quoted(format)}`,
    `content@=${shellWord(image)}`,
  ].join(' ')
}
