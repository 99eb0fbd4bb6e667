/**
 * A CD that boots a kernel with arguments of ours from BIOS, for a hypervisor that can't do so itself. The
 * boot loader on it is that of the vendor's own medium, which suits the kernel and needs no package of
 * this machine. Sources: the syslinux and GRUB manuals; El Torito.
 */
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { BuildError } from '../cli/errors.ts'
import type { Scope } from '../cli/scope.ts'
import { extractFromIso, listIso, writeIso } from './iso9660.ts'

export type CdKernel = {
  kernel: string
  initrd: string
  arguments: readonly string[]
  /** ISO image with the boot loader. */
  medium?: string
}

export type CdLoader = {
  /** Files to take along: path on the medium to path on the CD. */
  files: ReadonlyMap<string, string>
  /** What BIOS boots. */
  image: string
  config: { path: string; text: (words: readonly string[]) => string }
}

/** ISOLINUX reads its words as they are. */
const isolinuxConfig = (words: readonly string[]) =>
  [
    'serial 0 115200',
    'default install',
    'prompt 0',
    'timeout 1',
    'label install',
    '  kernel /linux',
    `  append initrd=/initrd ${words.join(' ')}`,
    '',
  ].join('\n')

const quoted = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`
const grubConfig = (words: readonly string[]) =>
  [`linux /linux ${words.map(quoted).join(' ')}`, 'initrd /initrd', 'boot', ''].join('\n')

/** Kernels have ended before with longer command lines, and so has ISOLINUX. */
const LONGEST = 2047

/**
 * The boot loader of a medium.
 *
 * @param paths of all its files
 * @throws {BuildError} when it has none that is known
 */
export function findLoader(paths: readonly string[], medium: string): CdLoader {
  const isolinux = paths.find((path) => /\/isolinux\.bin$/.test(path))
  if (isolinux !== undefined) {
    // Since Syslinux 5 it can't do without its library.
    const library = paths.find((path) => path === join(dirname(isolinux), 'ldlinux.c32'))
    const files = [isolinux, ...(library ? [library] : [])]
    return {
      files: new Map(files.map((path) => [path, `isolinux/${basename(path)}`])),
      image: 'isolinux/isolinux.bin',
      config: { path: 'isolinux/isolinux.cfg', text: isolinuxConfig },
    }
  }
  const grub = paths.find((path) => /\/eltorito\.img$/.test(path))
  const modules = paths.filter((path) => /\/boot\/grub2?\/i386-pc\/[^/]+$/.test(path))
  if (grub !== undefined && modules.length > 0) {
    const home = dirname(dirname(modules[0]!)).slice(1)
    const taken = modules.map((path) => [path, path.slice(1)] as const)
    return {
      files: new Map([...taken, [grub, `${home}/eltorito.img`]]),
      image: `${home}/eltorito.img`,
      config: { path: `${home}/grub.cfg`, text: grubConfig },
    }
  }
  throw new BuildError(`Cannot make a boot CD: "${medium}" has no boot loader for BIOS`, {
    hint: 'Known are isolinux.bin, and eltorito.img with GRUB’s modules; --machine qemu needs neither',
  })
}

/**
 * Make the CD.
 *
 * @returns its path; it is gone when the command ends
 * @throws {BuildError} when the medium has no boot loader, or the words are too many
 */
export async function makeBootCd(boot: CdKernel, scope: Scope): Promise<string> {
  const { medium } = boot
  if (medium === undefined) throw new BuildError('Cannot make a boot CD: there is no medium')
  const loader = findLoader(await listIso(medium), medium)
  const length = boot.arguments.join(' ').length
  if (length > LONGEST) {
    throw new BuildError(
      `Cannot boot the installer: its ${length} characters of arguments are over ${LONGEST}`,
    )
  }
  const dir = await scope.tempDir('boot-cd')
  const tree = join(dir, 'tree')
  const files = [...loader.files].map(([from, to]) => [from, join(tree, to)] as const)
  await extractFromIso(medium, new Map(files))
  await mkdir(dirname(join(tree, loader.config.path)), { recursive: true })
  await writeFile(join(tree, loader.config.path), loader.config.text(boot.arguments))
  await copyFile(boot.kernel, join(tree, 'linux'))
  await copyFile(boot.initrd, join(tree, 'initrd'))
  const iso = join(dir, 'boot.iso')
  await writeIso(tree, iso, { label: 'BOOT', epochSeconds: 0, biosLoader: loader.image })
  return iso
}
