/** Archives as they were: some keep every state, each at an address that has its time. */
import type { Mirror, Snapshots } from '../../distros/distro.ts'
import { compactTime } from './stamp.ts'

/**
 * The mirror of a state.
 *
 * @param at a time as in 20261101T000000Z; what keeps states has the one before it
 */
export function snapshotMirror({ main, security }: Snapshots, at: string | Date): Mirror {
  const time = typeof at === 'string' ? at : compactTime(at)
  const fill = (template: string) => template.replaceAll('{snapshot}', time)
  return {
    main: fill(main),
    ...(security !== undefined && { security: fill(security) }),
    archived: true, // its signatures' dates are past
  }
}
