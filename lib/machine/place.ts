/** Where a machine has its sockets. */
import { removeAbandoned } from '../cli/abandoned.ts'
import type { Scope } from '../cli/scope.ts'
import { session } from '../cli/session.ts'

/** A path of a unix socket has room for 107 bytes only, and $TMPDIR may be long. */
const PARENT = '/tmp'
const PREFIX = 'machine'

/** A directory for a machine, gone when the command ends. */
export const machineDir = (scope: Scope): Promise<string> => scope.tempDir(PREFIX, PARENT)

/** Take away what killed builds have left of their machines; the next machine does so as well, if there is one. */
export async function sweepMachines(): Promise<void> {
  if (!session.dryRun) await removeAbandoned(PARENT, `${PREFIX}-`)
}
