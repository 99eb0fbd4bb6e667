/**
 * A machine of SmartOS' bhyve that runs, on a link of the zone's build network. On every path it is
 * destroyed at the end: what bhyve leaves keeps the memory, and the name.
 */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { BuildError } from '../cli/errors.ts'
import { $, type Output } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { madeSecret } from '../cli/secrets.ts'
import { takeBuildLink } from '../host/build-network.ts'
import type { BhyveHypervisor } from '../host/hypervisor.ts'
import { connectUnix } from '../host/unix-socket.ts'
import { makeBootCd } from '../media/boot-cd.ts'
import { type BhyveSpec, bhyveWords, destroyWords, passwordSetting, readBhyveEnd } from './bhyve.ts'
import { SerialConsole } from './console.ts'
import { within } from './limit.ts'
import { machineDir } from './place.ts'
import type { Machine, MachineEnd, MachineSpec, Vnc } from './spec.ts'

/** How long bhyve may take to open its console, in milliseconds. */
const START_MS = 20_000
/** After SIGKILL of bhyve its machine is gone at once; the kernel takes a moment to let it be destroyed. */
const DESTROY_ATTEMPTS = 5

/** As startMachine(); the machine waits for its console, and runs as soon as that is there. */
export async function startBhyve(
  spec: MachineSpec & { hypervisor: BhyveHypervisor },
  scope: Scope,
  logPath: string,
): Promise<Machine> {
  const dir = await machineDir(scope)
  const vm = `hybrid-${randomBytes(4).toString('hex')}`
  const { vnic } = await takeBuildLink(scope)
  const { kernel, cdroms = [] } = spec
  const bootCd = kernel && (await makeBootCd(kernel, scope))
  const screen =
    spec.vnc === undefined ? undefined : await openScreen(spec.vnc, spec.hypervisor, dir)
  const words = bhyveWords({
    ...spec,
    vm,
    vnic,
    cdroms: [...(bootCd === undefined ? [] : [bootCd]), ...cdroms],
    sockets: { console: join(dir, 'console'), metadata: join(dir, 'metadata') },
    ...(screen && { screen }),
  })
  scope.defer(`Destroy machine ${vm}`, () => destroy(vm))
  return run(spec.name, words, { dir, logPath, vm, vnc: screen })
}

async function run(
  name: string,
  words: string[],
  place: { dir: string; logPath: string; vm: string; vnc: Vnc | undefined },
): Promise<Machine> {
  const { dir, logPath, vm, vnc } = place
  const running = $({ nothrow: true })`${words}`
  let end: MachineEnd | undefined
  const over = running.then(
    (output) => (end = endOf(output)),
    () => undefined, // interrupted: main() knows
  )
  const connected = connectUnix(join(dir, 'console'), START_MS)
  connected.catch(() => {})
  const stream = await Promise.race([
    connected,
    over.then((how) => {
      const says = how?.how === 'failed' ? how.says : 'it ended at once'
      throw new BuildError(`Cannot start machine ${name}: ${says}`)
    }),
  ])
  const console = new SerialConsole(stream, logPath)
  void over.then((how) => console.end(how?.how === 'failed' ? how.says : 'the machine has ended'))
  return {
    console,
    metadataSocket: join(dir, 'metadata'),
    vnc,
    get running() {
      return end === undefined
    },
    get end() {
      return end
    },
    diskError: undefined, // bhyve hands errors of the disk to its guest
    go: async () => {},
    off: (seconds) => within(over, seconds, `Machine ${name} did not power off`),
    stop: async () => {
      await destroy(vm)
      await over
    },
  }
}

function endOf({ exitCode, signal, stderr }: Output): MachineEnd {
  if (signal !== undefined) return { how: 'failed', says: `bhyve was killed by ${signal}` }
  return readBhyveEnd(exitCode, stderr)
}

/** Take a machine away; one that is not there is. */
async function destroy(vm: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const { exitCode, stderr } = await $({ nothrow: true, undo: true })`${destroyWords(vm)}`
    if (exitCode === 0 || /is not created|No such/i.test(stderr)) return
    if (attempt >= DESTROY_ATTEMPTS) {
      throw new BuildError(`Cannot destroy machine ${vm}: ${stderr.trim()}`, {
        hint: `When nothing uses it any more: ${destroyWords(vm).join(' ')}`,
      })
    }
    await new Promise((done) => setTimeout(done, 1000))
  }
}

const PORTS = { first: 5900, last: 5999 }

/** The first port that is free now: bhyve is told one, and does not look for itself. */
export async function freePort(address: string): Promise<number> {
  for (let port = PORTS.first; port <= PORTS.last; port++) {
    const server = createServer()
    const free = await new Promise<boolean>((done) => {
      server.once('error', () => done(false))
      server.listen(port, address, () => server.close(() => done(true)))
    })
    if (free) return port
  }
  throw new BuildError(
    `Cannot show the screen: no port of ${address} is free from ${PORTS.first}`,
    {
      hint: '--vnc names another address',
    },
  )
}

async function openScreen(
  address: string,
  { readsFile }: BhyveHypervisor,
  dir: string,
): Promise<NonNullable<BhyveSpec['screen']>> {
  // The protocol knows eight characters.
  const password = madeSecret('password of the screen', randomBytes(6).toString('base64url'))
  const passwordFile = readsFile ? join(dir, 'screen.conf') : undefined
  if (passwordFile) await writeFile(passwordFile, passwordSetting(password), { mode: 0o600 })
  return { address, port: await freePort(address), password, passwordFile }
}
