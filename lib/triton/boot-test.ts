/**
 * Boots an image as an instance of a simulated Triton under one firmware, and checks it: on its first
 * boot, after a reboot, and as the second generation, an image made of the instance.
 *
 * A phase is what is waited for; one that does not come ends the run of this machine, and is a failed
 * check of its own with the console's last lines.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { BuildError } from '../cli/errors.ts'
import type { Scope } from '../cli/scope.ts'
import { stopSignal } from '../cli/session.ts'
import type { QemuHypervisor } from '../host/hypervisor.ts'
import { ConsoleTimeout, type Limits } from '../machine/console.ts'
import type { HardwareName } from '../machine/hardware.ts'
import type { QemuMachine } from '../machine/qemu-machine.ts'
import {
  ANSWERS,
  BANNER,
  BOOT_MENU,
  type CheckResult,
  expectedChecks,
  type FirmwareName,
  type FurtherBoot,
  KERNEL,
  LOGIN,
  type Moment,
  OTHER,
  PASSWORD,
  type Phase,
  type PhaseLimits,
  phaseLimits,
  PREPARE,
  REBOOT,
  SETTLED,
  SSH,
} from './boot-phases.ts'
import type { Boot, Seen, Verdict } from './check.ts'
import { checksOf } from './checks.ts'
import { guestScript, readAnswers } from './guest-script.ts'
import {
  bannerVerdict,
  consoleLogin,
  lastLine,
  loginPrompt,
  loginRefused,
  untilLogin,
  untilSettled,
  within,
} from './guest-access.ts'
import { type Login, makeKey, runInGuest } from './ssh.ts'
import { createInstance, type InstanceSpec, type VirtualInstance } from './virtual-instance.ts'

export type TestedImage = {
  name: string
  version: string
  /** Raw disk; it is never written to. */
  disk: string
  volumeBytes: number
  /** User that root_authorized_keys are for. */
  user: string
}

export type BootTest = {
  image: TestedImage
  firmware: FirmwareName
  hardware: HardwareName
  hypervisor: QemuHypervisor
  memoryMiB: number
  cpus: number
  /** What follows the first boot. */
  boots: readonly FurtherBoot[]
  /** Directory for overlays and keys, this run's own. */
  work: string
  serialLog: string
  screenshot: string
  /** Seconds for each phase; undefined: by accelerator. */
  limit: number | undefined
  onResult: (result: CheckResult) => void
  onPhase: (phase: string) => void
}

export type BootTestResult = { firmware: FirmwareName; results: CheckResult[]; moments: Moment[] }

/** By how much the disks differ from the image's: so that growing shows. */
const GROW_BYTES = 4 * 1024 ** 3
const DATA_BYTES = 2 * 1024 ** 3

/** Nothing more can come. */
class Stop extends Error {}

/** It came, and is not what it should be. */
class Wrong extends BuildError {}

/** One firmware's run. Failed checks are results; errors thrown are of the host. */
export async function bootTest(test: BootTest, scope: Scope): Promise<BootTestResult> {
  const run = new Run(test, scope)
  try {
    await run.all()
  } catch (error) {
    if (!(error instanceof Stop)) throw error
  } finally {
    await run.machine?.screenshot(test.screenshot).catch(() => {})
    await run.machine?.stop()
  }
  run.fillIn()
  return { firmware: test.firmware, results: run.results, moments: run.moments }
}

class Run {
  readonly results: CheckResult[] = []
  readonly moments: Moment[] = []
  machine: QemuMachine | undefined
  readonly #test: BootTest
  readonly #scope: Scope
  readonly #limits: PhaseLimits
  readonly #began = Date.now()
  #boot: Boot = 'first boot'
  #virtual!: VirtualInstance
  #login!: Login
  /** A key that must not be let in. */
  #otherKey = ''
  #position = 0
  #earlier: ReadonlyMap<string, string> = new Map()

  constructor(test: BootTest, scope: Scope) {
    this.#test = test
    this.#scope = scope
    this.#limits = phaseLimits(test.hypervisor.accelerator, test.limit)
  }

  async all(): Promise<void> {
    const { work, image, boots } = this.#test
    this.#otherKey = join(work, 'other-key')
    await makeKey(this.#otherKey, 'of-somebody-else')
    await this.#create({ number: 1, image: { path: image.disk, format: 'raw' } })
    await this.#watchBoot()
    if (boots.includes('reboot')) await this.#reboot()
    if (!boots.includes('second generation')) return
    await this.#prepareImage()
    const { disk, key } = this.#virtual
    this.#otherKey = key
    await this.#create({
      number: 2,
      image: disk,
      rootPassword: randomBytes(9).toString('base64url'),
    })
    await this.#watchBoot()
    const { seconds } = this.#limits.other
    await this.#phase(PASSWORD, () =>
      consoleLogin(this.#console, this.#virtual.instance, image, seconds),
    )
  }

  /** Checks of boots that were begun and not finished, or never begun. */
  fillIn(): void {
    const boots: Boot[] = ['first boot', ...this.#test.boots]
    for (const boot of boots) {
      for (const { name, title } of expectedChecks(boot)) {
        if (this.results.some((result) => result.boot === boot && result.name === name)) continue
        this.#add({ boot, name, title, status: 'not reached', evidence: '', seconds: 0 })
      }
    }
  }

  async #create(spec: Pick<InstanceSpec, 'number' | 'image' | 'rootPassword'>): Promise<void> {
    const { image } = this.#test
    const host = { ...this.#test, user: image.user }
    const disks = { diskBytes: image.volumeBytes + GROW_BYTES, dataBytes: DATA_BYTES }
    this.#virtual = await createInstance(host, { ...spec, ...disks }, this.#scope)
    await this.#powerOn()
  }

  async #powerOn(): Promise<void> {
    const { machine, login } = await this.#virtual.powerOn()
    this.machine = machine
    this.#login = login
    this.#position = 0
  }

  /** Watch the console until one can log in, then look from inside. */
  async #watchBoot(): Promise<void> {
    const { image } = this.#test
    const { menu, other } = this.#limits
    await this.#waitFor(BOOT_MENU, /GNU GRUB +version (\S+)/, menu)
    await this.#waitFor(KERNEL, /Linux version (\S+)/, other)
    const from = this.#position
    const { hostname } = this.#virtual.instance
    await this.#waitFor(LOGIN, loginPrompt(hostname), other, ([, others]) => {
      if (others !== undefined) throw new Wrong(`the prompt is "${others}"`)
      return `${hostname} login:`
    })
    if (this.#boot !== 'reboot') {
      const shown = this.#console.text.slice(from, this.#position)
      await this.#check(BANNER, async () => bannerVerdict(shown, image))
    }
    await this.#phase(SSH, () => untilLogin(this.#login, other.seconds, () => this.#alive))
    await this.#phase(SETTLED, () => untilSettled(this.#login, other.seconds, () => this.#alive))
    if (this.#boot !== 'reboot') {
      await this.#check(OTHER, () => loginRefused({ ...this.#login, key: this.#otherKey }))
    }
    await this.#askAll()
  }

  async #reboot(): Promise<void> {
    this.#boot = 'reboot'
    await this.#phase(REBOOT, async () => {
      await this.#lastWords('systemctl --no-block reboot')
      return 'the guest ended its first boot by itself'
    })
    await this.#powerOn()
    await this.#watchBoot()
  }

  async #prepareImage(): Promise<void> {
    this.#boot = 'second generation'
    await this.#phase(PREPARE, () => this.#lastWords('prepare-image --poweroff'))
  }

  /** Run a command that ends the machine, and wait for that; the last line it printed. */
  async #lastWords(command: string): Promise<string> {
    const { seconds } = this.#limits.other
    const { exitCode, stdout, stderr } = await within(seconds, runInGuest(this.#login, command))
    // The connection may end before the status has come.
    if (exitCode !== 0 && exitCode !== 255) {
      throw new BuildError(lastLine(stderr) || `${command} exited ${exitCode}`)
    }
    await this.machine!.off(seconds)
    return lastLine(stdout)
  }

  async #askAll(): Promise<void> {
    const wanted = checksOf(this.#boot)
    const mark = `@@${randomBytes(9).toString('hex')}`
    let answers = readAnswers('', mark)
    await this.#phase(ANSWERS, async () => {
      const script = guestScript(wanted, mark)
      const { stdout, stderr } = await within(
        this.#limits.other.seconds,
        runInGuest(this.#login, script),
      )
      answers = readAnswers(stdout, mark)
      if (wanted.every(({ name }) => answers.has(name))) return `${answers.size} answers`
      throw new BuildError(
        `${answers.size} answers to ${wanted.length} questions: ${lastLine(stderr)}`,
      )
    })
    const { image } = this.#test
    const seen: Seen = {
      boot: this.#boot,
      instance: this.#virtual.instance,
      earlier: this.#earlier,
      image,
      diskBytes: image.volumeBytes + GROW_BYTES,
      dataBytes: DATA_BYTES,
    }
    for (const { name, title, judge } of wanted) {
      const { said, seconds } = answers.get(name)!
      const { ok, evidence } = judge(said, seen)
      this.#add({ name, title, status: ok ? 'ok' : 'failed', evidence, seconds })
    }
    const said = [...answers].map(([name, answer]) => [name, answer.said] as const)
    this.#earlier = new Map([...this.#earlier, ...said])
  }

  /** A machine whose disk can't be written stands still. */
  get #alive() {
    const { running, diskError } = this.machine!
    return running && diskError === undefined
  }

  get #console() {
    return this.machine!.console
  }

  /**
   * A text on the console, in order.
   *
   * @param judge the evidence; it throws Wrong where the boot goes on all the same
   */
  async #waitFor(
    phase: Phase,
    shows: RegExp,
    limits: Limits,
    judge: (match: RegExpExecArray) => string = ([found]) => found.trim(),
  ) {
    const look = async () => {
      const options = { what: phase.title, limits, from: this.#position, signal: stopSignal() }
      const { match, next } = await this.#console.waitFor(shows, options)
      this.#position = next
      return judge(match)
    }
    await this.#phase(phase, look)
  }

  /** Something that has to happen before anything else can. @throws {Stop} when it does not */
  async #phase(phase: Phase, work: () => Promise<string>): Promise<void> {
    const from = Date.now()
    this.#test.onPhase(`${this.#boot}: ${phase.title}`)
    const seconds = () => (Date.now() - from) / 1000
    try {
      const evidence = await work()
      this.#add({ ...phase, status: 'ok', evidence, seconds: seconds() })
    } catch (error) {
      if (!(error instanceof BuildError) || stopSignal().aborted) throw error
      const evidence = error.message
      const console = error instanceof ConsoleTimeout ? error.lastLines : this.#console.lastLines()
      this.#add({ ...phase, status: 'failed', evidence, seconds: seconds(), console })
      if (!(error instanceof Wrong)) throw new Stop()
    } finally {
      const { firmware } = this.#test
      const at = (Date.now() - this.#began) / 1000
      this.moments.push({ firmware, boot: this.#boot, what: phase.name, at })
    }
  }

  /** Something that may be wrong, and the boot goes on. */
  async #check(phase: Phase, work: () => Promise<Verdict>) {
    const from = Date.now()
    const { ok, evidence } = await work()
    const seconds = (Date.now() - from) / 1000
    this.#add({ ...phase, status: ok ? 'ok' : 'failed', evidence, seconds })
  }

  #add(result: Omit<CheckResult, 'firmware' | 'boot'> & { boot?: Boot }): void {
    const whole = { firmware: this.#test.firmware, boot: this.#boot, ...result }
    this.results.push(whole)
    this.#test.onResult(whole)
  }
}
