/**
 * The files of a new system, made in two stages that are kept for the next build: "base" is the packages, "system"
 * is what the set-up, the operator's script and the clean-up make of them. Root works in a directory, another
 * user on tar files, as the owners of files exist for them inside a name space only.
 */
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { architectures } from '../../distros/architectures.ts'
import type { Arch } from '../../distros/distro.ts'
import { type Report, step } from '../cli/progress.ts'
import { $, act } from '../cli/run.ts'
import { session } from '../cli/session.ts'
import type { BootFiles } from '../disk/assemble.ts'
import type { Layout } from '../disk/layout.ts'
import { dropStage, keepStage, keyOf, takeStage } from '../image/stage-cache.ts'
import { digestOf } from '../media/media.ts'
import { splitLogin } from '../packages/apt.ts'
import { packagesDigest } from '../packages/lock.ts'
import { makeRepository } from '../packages/repository.ts'
import { builderMode, keyringOf, packagesOf } from './bootstrap-host.ts'
import { guestContent } from './guest-digest.ts'
import { guestOf, STAGING } from './guest.ts'
import type { Build } from './method.ts'
import { baseWords, type Network, systemWords } from './mmdebstrap.ts'
import { followMmdebstrap, mmdebstrapError } from './mmdebstrap-output.ts'
import { dateTree, inUnpacked, packTree, restoreTree } from './tree-tar.ts'

/** Raised where the same inputs make something else than before: old results are not found then. */
const GENERATION = 5

/** What a filled root is: a directory for root, a tar file otherwise. */
export type RootTree = {
  kind: 'directory' | 'tar'
  path: string
  bootFiles: BootFiles
  /** What was printed while it was filled. */
  output: string
  /** The point release that the new system says it is. */
  upstream: string | undefined
  /** Done when the tree is kept for the next build, and may be changed. */
  kept: Promise<void>
  /** Takes it out of there. */
  forget: () => Promise<void>
}

/** Files that the boot partitions need, as `guest path → name in the work directory`. */
export function bootFiles(work: string, arch: Arch, efiVendor: string) {
  const host = (name: string) => join(work, name)
  const { bios, efi } = architectures[arch]
  const [shim, mokManager, grub] = ['shim', 'mm', 'grub'].map((name) => `${name}${efi.suffix}.efi`)
  const download = [
    ...(bios ? ['boot.img', 'core.img'] : []).map((name) => ({
      from: join('/boot/grub/i386-pc', name),
      to: host(name),
    })),
    ...[shim!, mokManager!, grub!, 'grub.cfg'].map((name) => ({
      from: join(STAGING, 'esp', name),
      to: host(name),
    })),
  ]
  const files: BootFiles = {
    ...(bios && { bios: { boot: host('boot.img'), core: host('core.img') } }),
    esp: {
      // The removable path needs no entry in the firmware's memory, which an image can't bring.
      [`EFI/BOOT/${efi.removable}`]: host(shim!),
      [`EFI/BOOT/${grub}`]: host(grub!),
      [`EFI/BOOT/${mokManager}`]: host(mokManager!),
      [`EFI/${efiVendor}/grub.cfg`]: host('grub.cfg'),
    },
  }
  return { download, files }
}

/** @param layout undefined: the system is on no disk, and brings no boot loader */
function guestFor({ distro, recipe }: Build, layout: Layout | undefined) {
  const { initramfs, bootLoader } = packagesOf(distro)
  return guestOf(distro, recipe, layout ? [initramfs, bootLoader] : [initramfs], {
    root: layout?.root.fsUuid ?? '',
    rootDevice: layout?.root.device ?? '',
    // FAT's short volume id, as blkid and fstab write it
    esp: layout?.esp.volumeId.toUpperCase().replace(/^(.{4})/, '$1-') ?? '',
  })
}

type Keys = {
  /** Of the packages, as this user can hold them, and as this machine's programs install them. */
  base: string
  /** Of the system, likewise. */
  system: string
}

/** What the stages depend on. Undefined without a pin, as with --dry-run. */
export async function treeKeys(
  build: Build,
  layout: Layout | undefined,
): Promise<Keys | undefined> {
  const { pin, recipe, epochSeconds } = build
  if (!pin) return undefined
  const { mmdebstrap, 'apt-ftparchive': apt } = pin.lock.tools
  const base = keyOf([
    GENERATION,
    packagesDigest(pin.lock),
    ...[pin.newest, recipe.release.codename, builderMode()],
    [mmdebstrap, apt],
  ])
  const guest = await guestContent(guestFor(build, layout))
  return { base, system: keyOf([base, guest, epochSeconds, layout !== undefined]) }
}

/** Run it. @throws {BuildError} with the package manager's or the script's own words */
async function runMmdebstrap(
  { recipe, work }: Build,
  epochSeconds: number,
  words: readonly string[],
  report: Report,
  input?: string,
): Promise<string> {
  const follow = followMmdebstrap()
  const { exitCode, stdout, stderr } = await $({
    nothrow: true,
    ...(input !== undefined && { input }),
    // The system's own affair, not the operator's: modes of what is made in there, and what scripts see.
    umask: '022',
    bare: true,
    env: {
      ...recipe.proxyEnv,
      TMPDIR: work,
      TZ: 'UTC',
      // A kernel's own hook makes no initramfs, a script of the set-up does it once.
      INITRD: 'No',
      // Whatever writes a date by itself: the initramfs, the days in /etc/shadow.
      SOURCE_DATE_EPOCH: String(epochSeconds),
    },
    onLine: (line) => {
      const news = follow(line)
      if (news) report(...news)
    },
  })`${words}`
  const output = `${stdout}\n${stderr}`
  if (exitCode !== 0) throw mmdebstrapError(output)
  return output
}

/** The stage "base". @returns the directory (root), or the tar file */
async function makeBase(build: Build, key: string | undefined): Promise<string> {
  const { pin, recipe, work, stages } = build
  const mode = builderMode()
  const target = join(work, mode === 'root' ? 'root' : 'base.tar')
  const taken = await takeStage(stages, 'base', key, target, (kept) =>
    step('Take the packages of an earlier build', () => restoreTree(mode, kept, target)),
  )
  if (taken) return target
  const epoch = pin?.newest ?? build.epochSeconds
  await step('Install packages', async (report) => {
    const repository = join(work, 'packages')
    const { lock, store } = pin ?? { lock: undefined, store: '' }
    const { codename } = recipe.release
    const source = await makeRepository(repository, store, codename, lock?.packages ?? [])
    const include = [...new Set([...(lock?.required ?? []), ...recipe.packages])]
    const words = baseWords({ mode, arch: recipe.arch, codename, include, source, target })
    const began = Date.now()
    await runMmdebstrap(build, epoch, words, report)
    await act(`remove ${repository}`, () => rm(repository, { recursive: true, force: true }))
    if (mode === 'root') await dateTree(target, epoch, began)
  })
  if (key !== undefined) {
    await step('Keep the packages for the next build', () =>
      keepStage(stages, 'base', key, (directory) => packTree(mode, target, directory, epoch)),
    )
  }
  return target
}

/** The operator's script may install more, from the mirror. */
async function networkOf(build: Build, keyring: string, offline: boolean): Promise<Network> {
  const { pin, distro, work } = build
  const split = (pin?.sources ?? []).map(splitLogin)
  const logins = [...new Set(split.flatMap(({ login }) => login ?? []))]
  const file = join(work, 'auth.conf')
  if (logins.length > 0) {
    await act(`write ${file}`, () => writeFile(file, `${logins.join('\n')}\n`, { mode: 0o600 }))
  }
  return {
    components: packagesOf(distro).components,
    keyring,
    sources: split.map(({ source }) => source),
    logins: logins.length > 0 ? file : undefined,
    cache: { archives: pin?.store ?? '', lists: pin?.lists ?? '' },
    offline,
  }
}

/** Digests of what lies beside a tree, which is an archive that has one of its own. */
const ASIDE = 'aside.json'

/** Keep files beside a tree. */
export async function keepAside(files: readonly string[], directory: string): Promise<void> {
  const digests: Record<string, string> = {}
  for (const file of files) {
    await copyFile(file, join(directory, basename(file)))
    digests[basename(file)] = await digestOf(file, 'sha256')
  }
  await writeFile(join(directory, ASIDE), JSON.stringify(digests))
}

/** Bring them back. @throws when one is not what was kept, as after a power cut */
export async function restoreAside(kept: string, files: readonly string[]): Promise<void> {
  const digests = JSON.parse(await readFile(join(kept, ASIDE), 'utf8')) as Record<string, string>
  for (const file of files) {
    await copyFile(join(kept, basename(file)), file)
    if ((await digestOf(file, 'sha256')) !== digests[basename(file)]) {
      throw new Error(`${basename(file)} is not what was kept`)
    }
  }
}

/**
 * The files of the system, from the stages that an earlier build has kept, as far as they are the same.
 *
 * @param layout undefined: the system is on no disk, and brings no boot loader
 * @throws {BuildError} with the package manager's or the script's own words
 */
export async function makeTree(
  build: Build,
  layout: Layout | undefined,
  { offline }: { offline: boolean },
): Promise<RootTree> {
  const { distro, pin, recipe, scope, work, stages, epochSeconds } = build
  const mode = builderMode()
  const { efiVendor, point } = packagesOf(distro)
  const { download: boot, files } = bootFiles(work, recipe.arch, efiVendor)
  const download = [{ from: point.file, to: join(work, 'point') }, ...(layout ? boot : [])]
  const kind = mode === 'root' ? 'directory' : 'tar'
  const target = join(work, mode === 'root' ? 'root' : 'root.tar')
  const said = join(work, 'output.txt')
  const aside = [...download.map(({ to }) => to), said]
  const keys = await treeKeys(build, layout)
  const made = async (kept: Promise<void>): Promise<RootTree> => ({
    kind,
    path: target,
    bootFiles: files,
    output: session.dryRun ? '' : await readFile(said, 'utf8'),
    upstream: session.dryRun
      ? undefined
      : point.pattern.exec(await readFile(join(work, 'point'), 'utf8'))?.[1],
    kept,
    forget: async () => {
      if (keys) await dropStage(stages, 'system', keys.system)
    },
  })

  const taken = await takeStage(stages, 'system', keys?.system, target, (kept) =>
    step('Take the system of an earlier build', async () => {
      await restoreTree(mode, kept, target)
      await restoreAside(kept, aside)
    }),
  )
  if (taken) return made(Promise.resolve())
  const base = await makeBase(build, keys?.base)
  await step('Set up the system', async (report) => {
    const guest = guestFor(build, layout)
    const network = guest.customize
      ? await networkOf(build, await keyringOf(build, offline), offline)
      : undefined
    const { arch, release } = recipe
    const spec = { mode, arch, codename: release.codename, base, target, guest, network, download }
    const began = Date.now()
    const output = await runMmdebstrap(
      build,
      // mkinitramfs dates what is younger, which in an image of the future is nothing.
      Math.min(epochSeconds, pin?.newest ?? epochSeconds),
      systemWords(spec),
      report,
      network && network.sources.join('\n'),
    )
    await act(`write ${said}`, () => writeFile(said, output))
    if (mode === 'root') await dateTree(target, epochSeconds, began)
    else await act(`remove ${base}`, () => rm(base, { force: true }))
  })
  const keeping = !keys
    ? Promise.resolve()
    : keepStage(stages, 'system', keys.system, async (directory) => {
        await act(`keep ${aside.length} files beside the tree in ${directory}`, () =>
          keepAside(aside, directory),
        )
        await packTree(mode, target, directory, epochSeconds)
      })
  // It is awaited by who changes the tree; who is interrupted waits until what it began is taken away.
  scope.defer('Wait for what is kept', () => keeping.catch(() => {}))
  return made(keeping)
}

/** Put the tree into a file system's hands or a tar's, and remove it. */
export async function useTree(
  tree: RootTree,
  wordsFor: (directory: string) => string[],
  env: Record<string, string> = {},
): Promise<void> {
  if (tree.kind === 'tar') {
    await inUnpacked(tree.path, wordsFor, env)
  } else {
    await $({ env })`${wordsFor(tree.path)}`
  }
  await tree.kept
  if (!session.keep) await act(`remove ${tree.path}`, () => rm(tree.path, { recursive: true }))
}
