/**
 * A build that takes a place on the build network, for tests: prints what it got, and gives it back when its
 * standard input ends.
 */
import { BuildError } from '../../lib/cli/errors.ts'
import { Scope } from '../../lib/cli/scope.ts'
import { ensureBuildNetwork, takeBuildLink } from '../../lib/host/build-network.ts'

const scope = new Scope()
try {
  await ensureBuildNetwork()
  console.log(JSON.stringify(await takeBuildLink(scope)))
  for await (const _ of process.stdin); // until it ends
} catch (error) {
  if (!(error instanceof BuildError)) throw error
  console.log(JSON.stringify({ error: error.message, hint: error.hint }))
}
await scope.close(false)
