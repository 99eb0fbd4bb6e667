/**
 * What is done inside a new system, the same in every method: files that are put there, and scripts
 * that run there as root, in order.
 */
import { basename, join } from 'node:path'
import { architectures } from '../../distros/architectures.ts'
import { type Distro, systemOf } from '../../distros/distro.ts'
import { shellCommand, shellWord } from '../cli/shell-words.ts'
import type { Recipe } from '../image/recipe.ts'
import { targetOf } from '../targets/targets.ts'
import { variablesEnv } from '../targets/variables.ts'
import { beginLine, endLine, scriptLabel } from './script-failure.ts'

/** Where things are put inside the new root while it is set up; removed at the end. */
export const STAGING = '/var/tmp/hybrid-images'

export type GuestScript = {
  /** On the host. */
  path: string
  /** Name in messages: `setup.sh`, or the operator's own. */
  name: string
  env: Readonly<Record<string, string>>
}

export type Guest = {
  /** Host file to guest path. */
  files: readonly { from: string; to: string }[]
  /** Host directories whose contents the scripts find in STAGING, below their own names. */
  directories: readonly string[]
  setup: readonly GuestScript[]
  customize: GuestScript | undefined
  finish: readonly GuestScript[]
}

/**
 * The guest of a recipe.
 *
 * @param finish scripts behind the operator's, which depend on the method: the boot loader's
 * @param ids of the file systems, as blkid writes them, and the kernel's root=; undefined where the
 *   scripts' environment has ROOT_UUID and ESP_UUID already, and the system its disk; empty where it has none
 */
export function guestOf(
  distro: Distro,
  recipe: Recipe,
  finish: readonly string[],
  ids?: { root: string; rootDevice: string; esp: string },
): Guest {
  const { setup, cleanUp, environment } = systemOf(distro, recipe.release)
  const target = targetOf(recipe)
  const { bios, efi, serial, grubTerminals } = architectures[recipe.arch]
  const env = {
    TITLE: recipe.title,
    IMAGE_NAME: recipe.name,
    IMAGE_VERSION: recipe.version,
    HOMEPAGE: recipe.homepage,
    CODENAME: recipe.release.codename,
    ...environment,
    ...(ids && { ROOT_UUID: ids.root, ROOT_DEVICE: ids.rootDevice, ESP_UUID: ids.esp }),
    KERNEL_ARGUMENTS: target.kernelArguments
      .filter((argument) => serial !== undefined || !argument.startsWith('console='))
      .join(' '),
    GRUB_TERMINALS: grubTerminals ?? target.grubTerminals,
    GRUB_BIOS: bios ? 'i386-pc' : '',
    GRUB_EFI: efi.platform,
    EFI_SUFFIX: efi.suffix,
    SERIAL: serial ?? '',
    TARGET: target.name,
    MADE_FOR: target.madeFor,
    CLOUD_USER: distro.maas.user,
    CUSTOM_KERNEL: recipe.customKernel ?? '',
    DEFAULT_KERNEL: distro.maas.own ? '' : recipe.release.kernel,
    ...variablesEnv(recipe.variables),
    FORMAT: recipe.format,
    GUEST_TOOLS: join(STAGING, basename(target.guestTools.directory)),
  }
  const project = (path: string) => join(recipe.project, path)
  const script = (path: string): GuestScript => ({ path: project(path), name: basename(path), env })
  const ours = (path: string) => script(`distros/${path}`)
  const { customize } = recipe
  const { last } = target.guestTools
  return {
    files: target.files.map(({ from, to }) => ({ from: project(from), to })),
    directories: [project(target.guestTools.directory)],
    setup: [...setup.map(ours), script(target.guestTools.install)],
    customize:
      customize === undefined ? undefined : { path: customize, name: basename(customize), env },
    finish: [
      ...finish.map(ours),
      ours('list-packages.sh'),
      ours(cleanUp),
      ...(last === undefined ? [] : [script(last)]),
    ],
  }
}

/** The command that runs a script which lies at `inside`. */
export function scriptCommand({ env }: GuestScript, inside: string): string {
  const assignments = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  return shellCommand({ words: ['env', ...assignments, inside] })
}

/** A file below STAGING, and the host file that becomes it. */
export type StagedFile = { to: string; from: string }

/**
 * For methods that have the guest do it by itself: what has to lie in STAGING, and the script that then
 * runs inside the new system with its disk mounted, does all, and takes STAGING away.
 *
 * @param customizeEnv environment of the operator's script, on top of the others'
 * @param last lines of the script at its end, when all else is done
 */
export function stagedGuest(
  guest: Guest,
  customizeEnv: Readonly<Record<string, string>> = {},
  last: readonly string[] = [],
): { files: StagedFile[]; script: string } {
  const scripts = [
    ...guest.setup,
    ...(guest.customize
      ? [{ ...guest.customize, env: { ...customizeEnv, ...guest.customize.env } }]
      : []),
    ...guest.finish,
  ].map((script, i) => ({ script, inside: `scripts/${i}` }))
  const files = guest.files.map(({ from, to }, i) => ({ from, to, inside: `files/${i}` }))
  const lines = [
    '#!/bin/sh',
    '# Made by hybrid-images: the set-up of this system, which runs once, inside it.',
    'set -eu',
    `cd ${STAGING}`,
    'uuid() {',
    '  blkid -s UUID -o value "$(findmnt -n -o SOURCE "$1")" && return',
    '  echo "error: $1 is on $(findmnt -n -o SOURCE "$1"), which blkid does not know" >&2; exit 1',
    '}',
    'ROOT_UUID=$(uuid /)',
    'ESP_UUID=$(if findmnt -n /boot/efi >/dev/null; then uuid /boot/efi; fi)',
    'export ROOT_UUID ESP_UUID',
    `failed() { status=$?; echo "${endLine('$1', '$status')}"; exit 1; }`,
    ...files.map(
      ({ inside, to }) =>
        `install -D -m 644 ${shellWord(inside)} ${shellWord(to)} || failed install`,
    ),
    ...scripts.map(({ script, inside }) => {
      const path = join(STAGING, inside)
      const label = scriptLabel(script.name)
      return `echo '${beginLine(label)}'; chmod 755 ${inside} && ${scriptCommand(script, path)} || failed ${label}`
    }),
    'cd /',
    `rm -rf ${STAGING}`,
    '# What was written and deleted again is no part of the image.',
    'fstrim / || echo "fstrim: not possible on this disk"',
    ...last,
    '',
  ]
  return {
    files: [
      ...files.map(({ from, inside }) => ({ from, to: inside })),
      ...guest.directories.map((from) => ({ from, to: basename(from) })),
      ...scripts.map(({ script, inside }) => ({ from: script.path, to: inside })),
    ],
    script: lines.join('\n'),
  }
}
