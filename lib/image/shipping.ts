/** What a build ships, and what it is called: decided by the options --target, --format, --name and --var. */
import { type OptionTable, parseName } from '../cli/options.ts'
import { UsageError } from '../cli/errors.ts'
import { ENDINGS, IMAGE_FORMATS, type ImageFormat } from '../targets/target.ts'
import { targetOf, type TargetName, TARGETS } from '../targets/targets.ts'
import { variableOptions } from '../targets/variables.ts'

export const shippingOptions = {
  target: {
    arg: 'NAME',
    choices: TARGETS,
    default: 'smartos',
    help: 'who the image is for: SmartOS and Triton, machines that MAAS deploys, or instances of libvirt',
  },
  format: {
    arg: 'NAME',
    choices: IMAGE_FORMATS,
    help: 'for smartos zfs.gz; for maas tgz, a root tar without a kernel, or ddgz, a disk; for libvirt qcow2 (default: the first)',
  },
  name: {
    arg: 'NAME',
    parse: parseName,
    help: 'name of the image, and but for smartos of its file: custom-cloudimg (default: distro and release, in files a date)',
  },
  ...variableOptions,
} as const satisfies OptionTable

export type Shipping = {
  target: TargetName
  format: ImageFormat | undefined
  name: string | undefined
  layout: string
}

/** What is made. @throws {UsageError} for a format that the target does not take */
export function formatFor(options: Shipping): ImageFormat {
  const { formats, name } = targetOf(options)
  const format = options.format ?? formats[0]
  if (!formats.includes(format)) {
    throw new UsageError(`Option --format ${format} does not fit --target ${name}`, {
      hint: `It takes ${formats.join(' or ')}`,
    })
  }
  if (format === 'tgz' && options.layout !== 'plain') {
    throw new UsageError(`Option --layout ${options.layout} does not fit --format tgz`, {
      hint: 'A root tar has no disk: MAAS lays it out',
    })
  }
  return format
}

/** The image's name and that of its files: `custom-cloudimg`, also when it is given as a file's. */
export function namesFor(
  options: Shipping,
  usual: string,
  format: ImageFormat,
  version: string,
): { name: string; fileName: string } {
  const { name: given } = options
  if (given === undefined) return { name: usual, fileName: `${usual}-${version}` }
  const other = IMAGE_FORMATS.find((one) => one !== format && given.endsWith(`.${ENDINGS[one]}`))
  if (other) {
    throw new UsageError(`Option --name ${given} does not fit --format ${format}`, {
      hint: `Its file ends in .${ENDINGS[format]}; choose --format ${other}, or another name`,
    })
  }
  const ending = `.${ENDINGS[format]}`
  const name = given.endsWith(ending) ? given.slice(0, -ending.length) : given
  // Manifests have a version, and a place for it; MAAS has its own.
  return { name, fileName: targetOf(options).manifest ? `${name}-${version}` : name }
}
