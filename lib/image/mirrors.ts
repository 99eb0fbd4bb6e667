/** Where a recipe's packages come from. */
import type { Distro, Mirror } from '../../distros/distro.ts'
import { UsageError } from '../cli/errors.ts'
import type { ImageOptions } from './image-options.ts'
import { snapshotMirror } from './snapshot.ts'

/** An archive as it was at a time. @throws {UsageError} where nobody keeps such */
function snapshotOf(distro: Distro, options: ImageOptions, snapshot: string): Mirror {
  const { mirror, 'security-mirror': security } = options
  if (mirror === undefined) {
    const { snapshots } = distro.bootstrap ?? {}
    if (snapshots) return snapshotMirror(snapshots, snapshot)
    throw new UsageError(
      `Option --snapshot needs --mirror: nobody keeps old states of ${distro.title}`,
    )
  }
  const given = [mirror, ...(security === undefined || security === 'none' ? [] : [security])]
  const without = given.find((url) => !url.includes('{snapshot}'))
  if (without !== undefined) {
    throw new UsageError(`Option --snapshot needs {snapshot} in ${without}`, {
      hint: 'As in http://mirror.example.com/{snapshot}/debian',
    })
  }
  const [main, beside] = given.map((url) => url.replace(/\/+$/, ''))
  return snapshotMirror(
    { main: main!, ...(beside !== undefined && { security: beside }) },
    snapshot,
  )
}

/** In the order in which they are tried. @throws {UsageError} for options that do not fit */
export function mirrorsOf(distro: Distro, options: ImageOptions): Mirror[] {
  const { mirror, 'security-mirror': security, snapshot } = options
  if (snapshot !== undefined) return [snapshotOf(distro, options, snapshot)]
  if (mirror === undefined) {
    if (security !== undefined) throw new UsageError('Option --security-mirror needs --mirror')
    return [...(distro.bootstrap?.mirrors ?? [])]
  }
  if (security !== undefined && security !== 'none' && !distro.bootstrap) {
    throw new UsageError(`Option --security-mirror: ${distro.title} has updates on its one mirror`)
  }
  const strip = (url: string) => url.replace(/\/+$/, '')
  const beside = security ?? distro.bootstrap?.securityMirror ?? 'none'
  return [{ main: strip(mirror), ...(beside !== 'none' && { security: strip(beside) }) }]
}
