/** An installation that is watched, in emulated machines: a good one, and every way to fail. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmod, mkdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BuildError } from '../../lib/cli/errors.ts'
import { Scope } from '../../lib/cli/scope.ts'
import { chooseQemu } from '../../lib/host/hypervisor.ts'
import { startMachine } from '../../lib/machine/machine.ts'
import { superviseInstaller, type Supervision } from '../../lib/machine/supervise.ts'
import { assertNothingLeft, leftovers, needPackages, workDir } from '../live.ts'
import { makeMiniInstaller } from '../mini-installer.ts'

needPackages({
  'qemu-system-x86_64': 'qemu-system-x86',
  '/usr/share/seabios/bios-256k.bin': 'seabios',
  cpio: 'cpio',
})

const { dir, remove } = await workDir()
await chmod(dir, 0o755) // apt downloads as a user of its own
const installer = await makeMiniInstaller(dir)
const before = leftovers()

const watch: Supervision = {
  phases: [
    { title: 'Network', begins: /^Phase one/ },
    { title: 'Partitions', begins: /^Phase two/ },
    { title: 'Boot loader', begins: /^Phase three/ },
  ],
  markers: ['PRE', 'POST'],
  question: /^Prompt: '\?' for help>/m, // the kernel may print behind it
  complaint: /WARNING|error:/,
  limits: { seconds: 60, silentSeconds: 60 },
}
/** How long a good installation takes on this machine, at least: limits below are multiples of it. */
let goodSeconds = 3

type Options = Partial<Supervision> & { disk?: string; stalledMs?: number }
/** Run the installer that does this; its console, or its failure. */
async function install(what: string, options: Options = {}) {
  const scope = new Scope()
  const disk = options.disk ?? join(dir, 'disk.raw')
  await writeFile(disk, '')
  await truncate(disk, 256 * 1024 ** 2)
  const log = join(dir, `${what}.log`)
  const phases: string[] = []
  try {
    const machine = await startMachine(
      {
        name: what,
        hypervisor: await chooseQemu({ accel: 'tcg', qemu: undefined }),
        hardware: 'kvm',
        firmware: 'bios',
        memoryMiB: 256,
        cpus: 1,
        uuid: '11111111-7e57-4ade-a117-0123456789ab',
        disks: [{ path: disk, format: 'raw' }],
        kernel: { ...installer, arguments: ['console=ttyS0', 'rdinit=/init', `do=${what}`] },
        nic: {
          mac: '52:54:00:00:00:01',
          subnet: '10.0.2.0/24',
          gateway: '10.0.2.2',
          resolver: '10.0.2.3',
          closed: true,
        },
      },
      scope,
      log,
    )
    await machine.go()
    // Nothing is read meanwhile.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, options.stalledMs ?? 0)
    const text = await superviseInstaller(machine, { ...watch, ...options }, (_, note) => {
      if (note !== undefined) phases.push(note)
    })
    return { text, phases, message: '' }
  } catch (error) {
    assert.instance(error, BuildError)
    return { text: '', phases, message: (error as BuildError).message }
  } finally {
    await scope.close(false)
  }
}

const watching = suite('superviseInstaller()')
watching('sees a good installation through, phase by phase', async () => {
  const lines: string[] = []
  const began = Date.now()
  const { text, phases, message } = await install('good', { onLine: (line) => lines.push(line) })
  goodSeconds = Math.max(goodSeconds, Math.ceil((Date.now() - began) / 1000))
  assert.is(message, '')
  assert.equal(phases, ['Start', 'Network', 'Partitions', 'Boot loader'])
  assert.match(text, /^JOYENT_STATUS_POST=ok$/m)
  assert.ok(lines.includes('Phase two: partitions'))
})
watching(
  'has every line of the kernel, also on a machine that comes late to read them',
  async () => {
    const { text, message } = await install('good', { stalledMs: 1000 * goodSeconds })
    assert.is(message, '')
    assert.match(text, /^\[ +0\.000000\] Command line: console=ttyS0 rdinit=\/init do=good$/m)
    const lines = text.slice(text.indexOf('[    0.000000] '), text.indexOf('Phase one')).split('\n')
    assert.ok(lines.length > 100, text)
    const broken = lines.filter((line) => line && !/^\[ +\d+\.\d{6}\] /.test(line))
    assert.equal(broken, [])
  },
)
for (const [what, wrong] of [
  ['unmarked', /^Installation failed in phase "Boot loader": JOYENT_STATUS_POST is missing/],
  ['unexpected', /JOYENT_STATUS_DRIVERS is unexpected/],
  ['late', /POST=fail: grub-installer: error: cannot install GRUB$/],
  [
    'reboot',
    /phase "Boot loader": JOYENT_STATUS_POST is missing; last on the console: .*machine restart$/,
  ],
  ['early-fail', /phase "Partitions": .*POST=fail: main-menu: WARNING: .*error code 1/],
  ['panic', /phase "Partitions": Kernel panic - not syncing: sysrq triggered crash/],
  ['question', /phase "Partitions": the installer asks a question/],
] as const) {
  watching(`tells what is wrong: ${what}`, async () => {
    const began = Date.now()
    assert.match((await install(what)).message, wrong)
    assert.ok(Date.now() - began < 50_000, 'it does not wait for a limit')
  })
}
watching('tells what is wrong: silent', async () => {
  const began = Date.now()
  const silentSeconds = 2 * goodSeconds
  const { message } = await install('silent', { limits: { seconds: 600, silentSeconds } })
  const said = `phase "Partitions": the console was silent for ${silentSeconds} s`
  assert.ok(message.includes(said), message)
  assert.ok(Date.now() - began < 6000 * goodSeconds, 'it does not wait for the other limit')
})
watching('tells what is wrong: chatty', async () => {
  const began = Date.now()
  const seconds = 3 * goodSeconds
  const { message } = await install('chatty', { limits: { seconds, silentSeconds: 600 } })
  assert.ok(message.includes(`phase "Partitions": it took over ${seconds} s`), message)
  assert.ok(Date.now() - began < 6000 * goodSeconds, 'it does not wait for the other limit')
})
watching('says that the host’s disk is full, and does not wait', async () => {
  const small = join(dir, 'small')
  await mkdir(small)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=20M', 'tmpfs', small])
  try {
    const { message } = await install('fill', { disk: join(small, 'disk.raw') })
    assert.match(message, /phase "Partitions": the disk can't be written: No space left on device/)
  } finally {
    execFileSync('umount', [small])
  }
})
watching('says that QEMU was killed', async () => {
  const kill = () => spawnSync('pkill', ['-KILL', '-f', 'hybrid-images-silent'])
  const { message } = await install('silent', {
    onLine: (line) => line.startsWith('Phase two') && kill(),
  })
  assert.match(message, /QEMU was killed by SIGKILL/)
})
watching('leaves nothing', () => assertNothingLeft(before))
watching.after(remove)
watching.run()
