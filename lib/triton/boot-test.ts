/**
 * Boots an image as an instance of a simulated Triton under one firmware, and checks it: on its first
 * boot, after a reboot, and as the second generation, an image made of the instance.
 *
 * A phase is what is waited for; one that does not come ends the run of this machine, and is a failed
 * check of its own with the console's last lines.
 */
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError } from '../cli/errors.ts'
import { $ } from '../cli/run.ts'
import type { Scope } from '../cli/scope.ts'
import { stopSignal } from '../cli/session.ts'
import type { Accelerator } from '../host/accelerator.ts'
import { needFirmware } from '../host/firmware.ts'
import { ConsoleTimeout, type Limits } from '../machine/console.ts'
import { hardware, type HardwareName, type MachineFirmware } from '../machine/hardware.ts'
import { type Machine, startMachine } from '../machine/machine.ts'
import type { MachineDisk } from '../machine/qemu.ts'
import { type Boot, type Check, checks, type Seen } from './checks.ts'
import { guestScript, readAnswers } from './guest-script.ts'
import { type Instance, makeInstance, metadataOf } from './instance.ts'
import { Metadata } from './metadata.ts'
import { connectMetadata } from './service.ts'
import { type Login, makeKey, runInGuest, sshWords } from './ssh.ts'

export type FurtherBoot = Exclude<Boot, 'first boot'>
export type FirmwareName = 'bios' | 'uefi'

export type CheckResult = {
  firmware: FirmwareName
  boot: Boot
  name: string
  title: string
  /** Not reached: a phase before it failed. */
  status: 'ok' | 'failed' | 'not reached'
  evidence: string
  seconds: number
  /** Last lines of the console, for a phase that failed. */
  console?: string[]
}

/** When a phase ended, in seconds since the run of its firmware began. */
export type Moment = { firmware: FirmwareName; boot: Boot; what: string; at: number }

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
  accelerator: Accelerator
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

/** The phases of a boot, as checks: what is waited for on the console. */
const BOOT_MENU = { name: 'boot-menu', title: 'GRUB menu on the serial console' }
const KERNEL = { name: 'kernel', title: 'kernel messages on the serial console' }
const BANNER = { name: 'issue', title: 'banner before the log-in names image and version' }
const LOGIN = {
  name: 'login-prompt',
  title: 'log-in prompt on the serial console, with the host name',
}
const SSH = { name: 'ssh-key', title: 'ssh by the key of root_authorized_keys' }
const OTHER = { name: 'ssh-refused', title: 'ssh refused by another key and by password' }
const SETTLED = { name: 'settled', title: 'start-up finished' }
const ANSWERS = { name: 'answers', title: 'the guest answers the questions of the checks' }
const REBOOT = { name: 'reboot', title: 'reboots without a question' }
const PREPARE = {
  name: 'prepare-image',
  title: 'prepare-image makes it ready to be an image, and powers off',
}
const PASSWORD = {
  name: 'console-password',
  title: 'console log-in by root_pw, with message of the day and prompt',
}

type Phase = { name: string; title: string }

/** Emulation is some ten times slower; two machines may share the cores. */
const LIMITS: Record<Accelerator['name'], { menu: Limits; other: Limits }> = {
  kvm: { menu: { seconds: 40, silentSeconds: 30 }, other: { seconds: 180, silentSeconds: 60 } },
  tcg: { menu: { seconds: 120, silentSeconds: 90 }, other: { seconds: 600, silentSeconds: 240 } },
}

class Stop extends Error {}

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
  machine: Machine | undefined
  readonly #test: BootTest
  readonly #scope: Scope
  readonly #limits: { menu: Limits; other: Limits }
  readonly #began = Date.now()
  #boot: Boot = 'first boot'
  #instance!: Instance
  #disks: readonly MachineDisk[] = []
  #firmware: MachineFirmware = 'bios'
  #key = ''
  #otherKey = ''
  #login!: Login
  #position = 0
  #earlier: ReadonlyMap<string, string> = new Map()

  constructor(test: BootTest, scope: Scope) {
    this.#test = test
    this.#scope = scope
    const { menu, other } = LIMITS[test.accelerator.name]
    const limit = (limits: Limits): Limits =>
      test.limit === undefined ? limits : { seconds: test.limit, silentSeconds: test.limit }
    this.#limits = { menu: limit(menu), other: limit(other) }
  }

  async all(): Promise<void> {
    const { work, image, boots } = this.#test
    const disk = join(work, 'disk.qcow2')
    const base: MachineDisk = { path: image.disk, format: 'raw' }
    this.#otherKey = join(work, 'other-key')
    await makeKey(this.#otherKey, 'of-somebody-else')
    await this.#begin('first boot', 1, await this.#overlay(base, disk))
    await this.#firstBoot()
    if (boots.includes('reboot')) await this.#reboot()
    if (!boots.includes('second generation')) return
    await this.#prepareImage()
    const second = await this.#overlay({ path: disk, format: 'qcow2' }, join(work, 'second.qcow2'))
    await this.#begin('second generation', 2, second)
    await this.#firstBoot()
    await this.#consoleLogin()
  }

  /** Checks of boots that were begun and not finished, or never begun. */
  fillIn(): void {
    const boots: Boot[] = ['first boot', ...this.#test.boots]
    for (const boot of boots) {
      for (const { name, title } of this.#expected(boot)) {
        if (this.results.some((result) => result.boot === boot && result.name === name)) continue
        this.#add({ boot, name, title, status: 'not reached', evidence: '', seconds: 0 })
      }
    }
  }

  #expected(boot: Boot): Phase[] {
    const before = boot === 'first boot' ? [] : boot === 'reboot' ? [REBOOT] : [PREPARE]
    const first = boot === 'reboot' ? [] : [BANNER]
    const access = boot === 'reboot' ? [SSH] : [SSH, OTHER]
    return [
      ...before,
      ...[BOOT_MENU, KERNEL, ...first, LOGIN, ...access, SETTLED, ANSWERS],
      ...checksOf(boot),
      ...(boot === 'second generation' ? [PASSWORD] : []),
    ]
  }

  async #overlay(base: MachineDisk, path: string): Promise<string> {
    const bytes = this.#test.image.volumeBytes + GROW_BYTES
    await $`qemu-img create -q -f qcow2 -b ${base.path} -F ${base.format} ${path} ${bytes}`
    return path
  }

  /** A new instance on this disk, and its first boot. */
  async #begin(boot: Boot, number: number, disk: string): Promise<void> {
    const { work, firmware } = this.#test
    this.#boot = boot
    const key = join(work, `key-${number}`)
    const instance = makeInstance(number, [await makeKey(key, `of-instance-${number}`)])
    const data = join(work, `data-${number}.qcow2`)
    await $`qemu-img create -q -f qcow2 ${data} ${DATA_BYTES}`
    this.#instance =
      boot === 'second generation' ? { ...instance, rootPassword: 'Correct-Horse.9' } : instance
    this.#key = key
    this.#disks = [disk, data].map((path) => ({ path, format: 'qcow2' }))
    this.#firmware = firmware === 'bios' ? 'bios' : await this.#uefi(number)
    await this.#powerOn()
  }

  /** A boot of the instance: on SmartOS each one is a new process of the hypervisor, too. */
  async #powerOn(): Promise<void> {
    const { firmware, hardware: hardwareName, image } = this.#test
    const instance = this.#instance
    const machine = await startMachine(
      {
        name: firmware,
        accelerator: this.#test.accelerator,
        hardware: hardwareName,
        firmware: this.#firmware,
        memoryMiB: this.#test.memoryMiB,
        cpus: this.#test.cpus,
        uuid: instance.uuid,
        disks: this.#disks,
        nic: { ...instance, forward: { address: instance.address, port: 22 } },
      },
      this.#scope,
      this.#test.serialLog,
    )
    this.machine = machine
    await connectMetadata(machine.metadataSocket, new Metadata(metadataOf(instance)))
    this.#position = 0
    await machine.go()
    this.#login = { port: await machine.forwardedPort(), user: image.user, key: this.#key }
  }

  async #uefi(number: number) {
    const code = needFirmware(hardware[this.#test.hardware].family)
    const variables = join(this.#test.work, `variables-${number}.fd`)
    await copyFile(code.variables, variables)
    return { code, variables }
  }

  async #firstBoot(): Promise<void> {
    const { image } = this.#test
    await this.#waitFor(BOOT_MENU, /GNU GRUB +version (\S+)/, this.#limits.menu)
    await this.#waitFor(KERNEL, /Linux version (\S+)/)
    const beforeBanner = this.#position
    await this.#waitFor(LOGIN, loginPrompt(this.#instance), this.#limits.other, /^(\S+) login: /m)
    const banner = this.#console.text.slice(beforeBanner, this.#position)
    const line = banner
      .split('\n')
      .find((one) => one.includes(image.name) && one.includes(image.version))
    this.#add({
      ...BANNER,
      status: line === undefined ? 'failed' : 'ok',
      evidence:
        line?.trim() ?? `no line with "${image.name}" and "${image.version}" before the prompt`,
      seconds: 0,
    })
    await this.#inside()
  }

  async #reboot(): Promise<void> {
    this.#boot = 'reboot'
    await this.#phase(REBOOT, async () => {
      const { exitCode, stderr } = await runInGuest(this.#login, 'systemctl --no-block reboot')
      // The connection may end before the answer has come.
      if (exitCode !== 0 && exitCode !== 255) throw new BuildError(stderr.trim())
      await this.machine!.off(this.#limits.other.seconds)
      return 'the guest ended its first boot by itself'
    })
    await this.#powerOn()
    await this.#waitFor(BOOT_MENU, /GNU GRUB +version (\S+)/)
    await this.#waitFor(KERNEL, /Linux version (\S+)/)
    await this.#waitFor(LOGIN, loginPrompt(this.#instance), this.#limits.other, /^(\S+) login: /m)
    await this.#inside()
  }

  /** What is asked over ssh. */
  async #inside(): Promise<void> {
    await this.#phase(SSH, () => this.#untilLogin())
    if (this.#boot !== 'reboot') await this.#check(OTHER, () => this.#refused())
    await this.#phase(SETTLED, async () => {
      const wait =
        'systemctl is-system-running --wait; systemd-analyze time 2>/dev/null | head -n 1'
      const { stdout } = await this.#within(runInGuest(this.#login, wait))
      return stdout.trim().replaceAll('\n', ': ')
    })
    await this.#askAll()
  }

  async #untilLogin(): Promise<string> {
    const limit = this.#limits.other.seconds
    const deadline = Date.now() + limit * 1000
    for (let attempts = 1; ; attempts++) {
      const { exitCode, stderr, stdout } = await runInGuest(this.#login, 'id -un')
      if (exitCode === 0)
        return `as ${this.#login.user}, attempt ${attempts}, ${stdout.trim()} there`
      const said = stderr.trim().split('\n').at(-1) ?? ''
      // A server that is up and refuses will not change its mind.
      if (/Permission denied/.test(said) && attempts > 3) throw new BuildError(said)
      if (Date.now() > deadline) throw new BuildError(`not within ${limit} s: ${said}`)
      await delay(1000, undefined, { signal: stopSignal() })
    }
  }

  async #refused() {
    // Of somebody else, or of the instance that the image was made of.
    const key = this.#boot === 'first boot' ? this.#otherKey : join(this.#test.work, 'key-1')
    const { exitCode, stderr } = await $({
      nothrow: true,
    })`${sshWords({ ...this.#login, key })} true`
    const said = stderr.trim().split('\n').at(-1) ?? ''
    // The server names the methods by which one could still try: "Permission denied (publickey,password)."
    const methods = /Permission denied \(([^)]*)\)/.exec(said)?.[1]?.split(',') ?? []
    const good =
      exitCode !== 0 && methods.length > 0 && methods.every((method) => method === 'publickey')
    return { ok: good, evidence: exitCode === 0 ? 'another key was let in' : said }
  }

  async #askAll(): Promise<void> {
    const wanted = checksOf(this.#boot)
    const mark = `@@${Math.random().toString(36).slice(2)}`
    let answers = readAnswers('', mark)
    await this.#phase(ANSWERS, async () => {
      const script = guestScript(wanted, mark)
      const { stdout, stderr } = await this.#within(runInGuest(this.#login, script))
      answers = readAnswers(stdout, mark)
      if (answers.size === wanted.length) return `${answers.size} answers`
      const said = stderr.trim().split('\n').at(-1) ?? ''
      throw new BuildError(`${answers.size} answers to ${wanted.length} questions: ${said}`)
    })
    const { image } = this.#test
    const seen: Seen = {
      boot: this.#boot,
      instance: this.#instance,
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

  async #prepareImage(): Promise<void> {
    this.#boot = 'second generation'
    await this.#phase(PREPARE, async () => {
      const { exitCode, stdout, stderr } = await runInGuest(this.#login, 'prepare-image --poweroff')
      if (exitCode !== 0 && exitCode !== 255) {
        throw new BuildError(stderr.trim().split('\n').at(-1) || `exit status ${exitCode}`)
      }
      await this.machine!.off(this.#limits.other.seconds)
      return stdout.trim().split('\n').at(-1) ?? ''
    })
  }

  /** Log in as an operator would who has nothing but the console. */
  async #consoleLogin(): Promise<void> {
    const { rootPassword, hostname } = this.#instance
    const console = this.#console
    const { image } = this.#test
    await this.#phase(PASSWORD, async () => {
      const limits = this.#limits.other
      const signal = stopSignal()
      const from = console.text.length
      console.write('\n')
      await console.waitFor(/login: $/, { what: 'A log-in prompt', limits, from, signal })
      console.write('root\n')
      const asked = await console.waitFor(/Password: $/, {
        what: 'The question for a password',
        limits,
        from,
        signal,
      })
      console.write(`${rootPassword}\n`)
      const prompt = new RegExp(`root@${hostname}:~# $`)
      await console.waitFor(prompt, {
        what: `The prompt root@${hostname}:~#`,
        limits,
        from: asked.next,
        signal,
      })
      const shown = console.text.slice(asked.next)
      const motd = shown
        .split('\n')
        .find((line) => line.includes(image.name) && line.includes(image.version))
      if (motd === undefined)
        throw new BuildError(`no line with "${image.name}" and "${image.version}" after the log-in`)
      return `${motd.trim()}; root@${hostname}:~#`
    })
  }

  get #console() {
    return this.machine!.console
  }

  /** A text on the console, in order. `instead`: what may come in its place, to be told. */
  async #waitFor(phase: Phase, shows: RegExp, limits = this.#limits.other, instead?: RegExp) {
    await this.#phase(
      phase,
      async () => {
        const from = this.#position
        const signal = stopSignal()
        const { match, next } = await this.#console.waitFor(instead ?? shows, {
          what: phase.title,
          limits,
          from,
          signal,
        })
        this.#position = next
        const found = match[0].trim()
        if (instead && !shows.test(found)) throw new BuildError(`the prompt is "${found}"`)
        return found
      },
      instead !== undefined,
    )
  }

  /**
   * Something that has to happen before anything else can. @throws {Stop} when it does not
   *
   * @param goOn a wrong result is no reason to stop, only one that does not come
   */
  async #phase(phase: Phase, work: () => Promise<string>, goOn = false): Promise<void> {
    const from = Date.now()
    this.#test.onPhase(`${this.#boot}: ${phase.title}`)
    const seconds = () => (Date.now() - from) / 1000
    try {
      const evidence = await work()
      this.#add({ ...phase, status: 'ok', evidence, seconds: seconds() })
    } catch (error) {
      if (!(error instanceof BuildError) || stopSignal().aborted) throw error
      const late = error instanceof ConsoleTimeout
      const console = late ? error.lastLines : this.#console.lastLines()
      this.#add({
        ...phase,
        status: 'failed',
        evidence: error.message,
        seconds: seconds(),
        console,
      })
      if (late || !goOn) throw new Stop()
    } finally {
      const { firmware } = this.#test
      this.moments.push({
        firmware,
        boot: this.#boot,
        what: phase.name,
        at: (Date.now() - this.#began) / 1000,
      })
    }
  }

  async #check(phase: Phase, work: () => Promise<{ ok: boolean; evidence: string }>) {
    const from = Date.now()
    const { ok, evidence } = await work()
    const seconds = (Date.now() - from) / 1000
    this.#add({ ...phase, status: ok ? 'ok' : 'failed', evidence, seconds })
  }

  /** A conversation with the guest, or a failed phase when it takes too long. */
  async #within<T>(work: Promise<T>): Promise<T> {
    const { seconds } = this.#limits.other
    const limit = new AbortController()
    const late = delay(seconds * 1000, undefined, { signal: limit.signal }).then(() => {
      throw new BuildError(`The guest did not answer within ${seconds} s`)
    })
    late.catch(() => {})
    try {
      return await Promise.race([work, late])
    } finally {
      limit.abort()
    }
  }

  #add(result: Omit<CheckResult, 'firmware' | 'boot'> & { boot?: Boot }): void {
    const whole = { firmware: this.#test.firmware, boot: this.#boot, ...result }
    this.results.push(whole)
    this.#test.onResult(whole)
  }
}

function checksOf(boot: Boot): readonly Check[] {
  return checks.filter(({ boots }) => boots === undefined || boots.includes(boot))
}

const loginPrompt = ({ hostname }: Instance) => new RegExp(`^${hostname} login:`)
