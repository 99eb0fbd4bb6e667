/** What an installer is told: the files that it reads, made of templates and the recipe. */
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Distro, Installer, Release } from '../../distros/distro.ts'
import { UsageError } from '../cli/errors.ts'
import { $ } from '../cli/run.ts'
import type { Recipe } from '../image/recipe.ts'
import { INSTALL_NIC } from '../machine/install.ts'
import { type InitrdFile, writeTree } from '../media/initrd.ts'
import type { Medium } from '../media/medium.ts'
import { targetOf } from '../targets/targets.ts'
import { type AnswerValues, fillAnswers } from './answers.ts'
import { guestAddress } from './guest-address.ts'
import { guestInMachine } from './guest-in-machine.ts'
import type { StagedFile } from './guest.ts'

/** Where the answers keep the guest's set-up in the initrd. */
const GUEST = 'hybrid-images/guest'

/** The installer of a release. */
export const installerOf = (distro: Distro, release: Release): Installer => ({
  ...distro.installer,
  ...release.installer,
})

/** What templates are told of a medium: a label as the kernel's arguments take it, and what is on it. */
export type MediumFacts = Pick<Medium, 'label' | 'files'>

/**
 * Everything that the installer reads.
 *
 * @param medium undefined: templates that ask for it get names in its place, to be read by people
 */
export async function answerFiles(
  distro: Distro,
  recipe: Recipe,
  medium?: MediumFacts,
): Promise<InitrdFile[]> {
  const { answers, ownAnswers, installed, guest: form } = installerOf(distro, recipe.release)
  const guest = guestInMachine(distro, recipe, installed, guestProxy(recipe))
  const staged: InitrdFile[] = [
    { to: 'set-up', from: { text: guest.script }, mode: 0o755 },
    ...(await Promise.all(guest.files.map(expandFile))).flat(),
  ]
  const values = {
    ...answerValues(distro, recipe, medium),
    ...(form === 'archive' && { GUEST: await archive(staged, recipe.at) }),
  }
  const own = recipe.installer?.answers
  const files = await Promise.all(
    answers.map(async ({ to, from, mode }): Promise<InitrdFile> => {
      const names = from.map((part) => (typeof part === 'string' ? part : part[recipe.layout]))
      const texts = await Promise.all(
        names.map(async (name) =>
          fillAnswers(await readFile(join(recipe.project, 'distros', name), 'utf8'), values, name),
        ),
      )
      if (to === ownAnswers && own !== undefined) texts.push(await readFile(own, 'utf8'))
      return { to, from: { text: texts.join('\n') }, mode }
    }),
  )
  if (form === 'archive') return files
  return [...files, ...staged.map((file) => ({ ...file, to: `${GUEST}/${file.to}` }))]
}

/** The arguments of its kernel. */
export function kernelArguments(distro: Distro, recipe: Recipe, medium?: MediumFacts): string[] {
  const values = answerValues(distro, recipe, medium)
  return installerOf(distro, recipe.release).kernelArguments.map((word) =>
    fillAnswers(word, values, 'kernelArguments'),
  )
}

/** A file, or all files below a directory. */
export async function expandFile({ to, from }: StagedFile): Promise<InitrdFile[]> {
  const one = async (path: string, name: string): Promise<InitrdFile> => {
    const executable = ((await stat(path)).mode & 0o100) !== 0
    return { to: name, from: { path }, mode: executable ? 0o755 : 0o644 }
  }
  if (!(await stat(from)).isDirectory()) return [await one(from, to)]
  const { globby } = await import('globby') // not for every command
  const names = await globby('**', { cwd: from, dot: true })
  return Promise.all(names.sort().map((name) => one(join(from, name), `${to}/${name}`)))
}

/** Files as a gzipped tar in Base64, on one line; the same files give the same text. */
async function archive(files: readonly InitrdFile[], at: Date): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'guest-'))
  try {
    const tree = join(dir, 'tree')
    await writeTree(files, tree)
    const packed = join(dir, 'guest.tar.gz')
    const time = `--mtime=@${Math.floor(at.getTime() / 1000)}`
    const same = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', time]
    await $({ readOnly: true })`tar -C ${tree} ${same} -I ${['gzip -n9']} -cf ${packed} .`
    return (await readFile(packed)).toString('base64')
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

const inGuest = (address: string) => guestAddress(address, INSTALL_NIC.gateway)

/** The proxy, as the operator's script in the guest has to name it. */
export function guestProxy({ proxyEnv }: Recipe): Record<string, string> {
  return Object.fromEntries(
    Object.entries(proxyEnv).map(([name, value]) => [
      name,
      /^https?:/.test(value) ? inGuest(value) : value,
    ]),
  )
}

/** Whether the installer takes all packages from the medium, and none from a mirror. */
export const hasPackages = (distro: Distro, { release }: Recipe, medium?: MediumFacts): boolean =>
  installerOf(distro, release).packagesOnMedium?.some((path) => medium?.files.has(path)) ?? false

/** What the templates may name. */
export function answerValues(distro: Distro, recipe: Recipe, medium?: MediumFacts): AnswerValues {
  const { release, proxyEnv } = recipe
  const proxy = proxyEnv['http_proxy']
  return {
    DISTRO: distro.name,
    RELEASE: release.version,
    CODENAME: release.codename,
    KERNEL: recipe.kernel,
    PACKAGES: recipe.packages.filter((name) => name !== recipe.kernel).join(' '),
    PACKAGE_LIST: recipe.packages.join(', '),
    PACKAGE_LINES: recipe.packages,
    KERNEL_ARGUMENTS: targetOf(recipe).kernelArguments.join(' '),
    PROXY: proxy === undefined ? '' : inGuest(proxy),
    LABEL: medium === undefined ? 'LABEL-OF-THE-MEDIUM' : medium.label.replaceAll(' ', '\\x20'),
    MEDIUM_PACKAGES: hasPackages(distro, recipe, medium) ? 'yes' : '',
    ...mirrorValues(distro, recipe),
    ...repositoryValues(recipe),
    ...release.values,
  }
}

/** A mirror in its parts, as Debian's installer asks for it. */
function mirrorValues(distro: Distro, { mirrors, release }: Recipe): AnswerValues {
  const [mirror] = mirrors
  const main = mirror?.main === undefined ? undefined : new URL(inGuest(mirror.main))
  const security = mirror?.security === undefined ? undefined : new URL(inGuest(mirror.security))
  const { securityPath } = installerOf(distro, release)
  if (
    securityPath &&
    security &&
    (security.protocol !== 'http:' || security.pathname !== securityPath)
  ) {
    throw new UsageError(`Cannot hand --security-mirror ${mirror!.security} to the installer`, {
      hint: `It takes http://HOST${securityPath} only; or give --security-mirror none`,
    })
  }
  return {
    MIRROR: main?.href ?? '',
    SECURITY_MIRROR: security?.href ?? '',
    MIRROR_PROTOCOL: main?.protocol.replace(':', '') ?? '',
    MIRROR_HOST: main?.host ?? '',
    MIRROR_PATH: main?.pathname ?? '',
    SECURITY_HOST: security?.host ?? '',
    SERVICES: main && !security ? 'updates' : 'security, updates',
  }
}

/** Repositories by their addresses, as kickstart has them. */
function repositoryValues({ release, mirrors }: Recipe): AnswerValues {
  const { repositories } = release
  if (!repositories) return {}
  const given = mirrors[0]?.main
  const mirror = given === undefined ? repositories.mirror : inGuest(given)
  const at = (path: string) => `${mirror.replace(/\/$/, '')}/${path}`
  const [first, second] = repositories.others
  return {
    REPO_BASE: at(repositories.base),
    REPO_1: first ? at(first.path) : '',
    REPO_1_NAME: first?.name ?? '',
    REPO_2: second ? at(second.path) : '',
    REPO_2_NAME: second?.name ?? '',
  }
}

/** Digest of all files, names and modes. */
export async function digestOfFiles(files: readonly InitrdFile[]): Promise<string> {
  const hash = createHash('sha256')
  for (const { to, from, mode } of files) {
    hash.update(`${to} ${mode}\n`)
    hash.update('text' in from ? from.text : await readFile(from.path))
  }
  return hash.digest('hex')
}
