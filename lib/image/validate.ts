/** Is everything about a release as a build needs it? Found out in seconds, without a build. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Distro, ReleaseMedia } from '../../distros/distro.ts'
import { BuildError } from '../cli/errors.ts'
import { type Command, type OptionTable, parseArguments } from '../cli/options.ts'
import { $ } from '../cli/run.ts'
import { LAYOUTS } from '../disk/layout.ts'
import { findTool } from '../host/tools.ts'
import { findKeys } from '../media/keys.ts'
import { checkKeys } from '../media/signature.ts'
import { autoinstallProblems } from '../methods/autoinstall.ts'
import { answerFiles, kernelArguments } from '../methods/installer-answers.ts'
import { readKickstart } from '../methods/kickstart.ts'
import { imageOptions } from './image-options.ts'
import { resolveRecipe } from './recipe.ts'
import { makeStamp } from './stamp.ts'

const command = {
  name: 'validate',
  summary: '',
  words: ['RELEASE'],
  options: imageOptions,
  examples: [],
} as const satisfies Command<OptionTable>

/**
 * Resolve a release with each layout, fill its answers in, and check them.
 *
 * @param online whether to ask if the vendor's addresses answer
 * @returns what is wrong, a line each
 */
export async function validateRelease(
  distro: Distro,
  version: string,
  online: boolean,
): Promise<string[]> {
  const problems: string[] = []
  const stamp = await makeStamp()
  for (const layout of LAYOUTS) {
    try {
      const argv = [version, '--method', 'installer', '--layout', layout]
      const { options } = parseArguments(command, argv, {})
      const recipe = await resolveRecipe(distro, version, options, stamp)
      const medium = { label: 'LABEL', files: new Set<string>() }
      kernelArguments(distro, recipe, medium)
      for (const { to, from, mode } of await answerFiles(distro, recipe, medium)) {
        if (!('text' in from)) continue
        const say = (what: string) => problems.push(`${layout}, ${to}: ${what}`)
        if (to === 'ks.cfg') {
          readKickstart(from.text).problems.forEach(({ line, what }) =>
            say(`line ${line}: ${what}`),
          )
        }
        if (to === 'user-data') autoinstallProblems(from.text).forEach(say)
        if (to === 'preseed.cfg' && findTool('debconf-set-selections')) {
          const words = ['debconf-set-selections', '--checkonly']
          const { exitCode, stderr } = await $({ nothrow: true, input: from.text })`${words}`
          if (exitCode !== 0) say(stderr.trim())
        }
        if (mode === 0o755) {
          const { exitCode, stderr } = await $({ nothrow: true, input: from.text })`sh -n`
          if (exitCode !== 0) say(stderr.trim())
        }
      }
    } catch (error) {
      problems.push(`${layout}: ${(error as Error).message}`)
    }
  }
  if (online) problems.push(...(await unreachable(distro, version)))
  return problems
}

/** Whether the vendor's key can be had, and is the one that is pinned. */
async function keyProblems(key: ReleaseMedia['key']): Promise<string[]> {
  if (!key) return []
  const dir = await mkdtemp(join(tmpdir(), 'validate-'))
  try {
    await checkKeys(await findKeys(key, undefined, dir, { report: () => {}, attempts: 1 }))
    return []
  } catch (error) {
    if (error instanceof BuildError) return [error.message]
    throw error
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** Addresses of a release that do not answer. */
async function unreachable(distro: Distro, version: string): Promise<string[]> {
  const { media, repositories } = distro.releases.find((release) => release.version === version)!
  const addresses = [
    ...media.roots,
    ...(repositories ? [`${repositories.mirror}/${repositories.base}repodata/repomd.xml`] : []),
  ]
  const answers = await Promise.all(
    addresses.map(async (address) => {
      const words = [
        '--silent',
        '--show-error',
        '--fail',
        '--location',
        '--head',
        '--max-time',
        '20',
      ]
      const { exitCode, stderr } = await $({ nothrow: true })`curl ${words} ${address}`
      return exitCode === 0 ? [] : [`${address}: ${stderr.trim().replace(/^curl: \(\d+\) /, '')}`]
    }),
  )
  // Folders are tried in turn: it is enough when one of them has the release.
  const folders = answers.slice(0, media.roots.length)
  return [
    ...(await keyProblems(media.key)),
    ...(folders.some((one) => one.length === 0) ? [] : folders.flat()),
    ...answers.slice(media.roots.length).flat(),
  ]
}

/** @throws {BuildError} when something is wrong anywhere */
export function checkValid(results: readonly { name: string; problems: readonly string[] }[]) {
  const wrong = results.filter(({ problems }) => problems.length > 0)
  if (wrong.length === 0) return
  throw new BuildError(`Not valid: ${wrong.map(({ name }) => name).join(', ')}`)
}
