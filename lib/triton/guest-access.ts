/** The ways into a guest: ssh with the right key, with a wrong one, and the serial console. */
import { setTimeout as delay } from 'node:timers/promises'
import { BuildError } from '../cli/errors.ts'
import { $ } from '../cli/run.ts'
import { stopSignal } from '../cli/session.ts'
import type { SerialConsole } from '../machine/console.ts'
import type { Verdict } from './check.ts'
import type { Instance } from './instance.ts'
import { type Login, runInGuest, sshWords } from './ssh.ts'

type NamedImage = { name: string; version: string }

/** The last line of what a program printed. */
export const lastLine = (text: string) => text.trim().split('\n').at(-1) ?? ''

/**
 * Try to log in until it works; how it went.
 *
 * @param running whether the machine still lives
 * @throws {BuildError} when the server refuses, the machine ends, or the time is up
 */
export async function untilLogin(
  login: Login,
  seconds: number,
  running: () => boolean,
): Promise<string> {
  const deadline = Date.now() + seconds * 1000
  for (let attempts = 1; ; attempts++) {
    const { exitCode, stderr, stdout } = await runInGuest(login, 'id -un')
    if (exitCode === 0) return `as ${login.user}, attempt ${attempts}, ${stdout.trim()} there`
    const said = lastLine(stderr)
    // A server that is up and refuses will not change its mind.
    if (/Permission denied/.test(said) && attempts > 3) throw new BuildError(said)
    if (!running()) throw new BuildError(`the machine has ended: ${said}`)
    if (Date.now() > deadline) throw new BuildError(`not within ${seconds} s: ${said}`)
    await delay(1000, undefined, { signal: stopSignal() })
  }
}

const START_UP = 'systemctl is-system-running --wait; systemd-analyze time 2>/dev/null | head -n 1'

/**
 * Wait until everything that begins with the guest has begun; what it says of that. Up to here the ssh server may
 * be restarted, as by cloud-init where it sets what passwords are good for, and then connections end.
 *
 * @param running whether the machine still lives
 * @throws {BuildError} when the machine ends, or the time is up
 */
export async function untilSettled(
  login: Login,
  seconds: number,
  running: () => boolean,
): Promise<string> {
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    const left = Math.max(1, Math.ceil((deadline - Date.now()) / 1000))
    const { exitCode, stdout, stderr } = await within(left, runInGuest(login, START_UP))
    // ssh's own status of a connection that failed or was lost; what the guest says has another.
    if (exitCode !== 255) return stdout.trim().replaceAll('\n', ': ')
    if (!running()) throw new BuildError(`the machine has ended: ${lastLine(stderr)}`)
    await delay(1000, undefined, { signal: stopSignal() })
    if (Date.now() > deadline) throw new BuildError(`not within ${seconds} s: ${lastLine(stderr)}`)
  }
}

/**
 * The log-in prompt of a host, as the console may show it: with lines of others in it. The first group is the prompt
 * of another host.
 */
export function loginPrompt(hostname: string): RegExp {
  const chars = [...`${hostname} login:`].map((char) => char.replace(/\W/, '\\$&'))
  const prompt = chars.join(`(?:${OTHERS})*`)
  return new RegExp(String.raw`^(?:${prompt}|(\S+ login:))`, 'm')
}

/** Whether a log-in is refused, with no method but keys offered. */
export async function loginRefused(login: Login): Promise<Verdict> {
  const { exitCode, stderr } = await $({ nothrow: true })`${sshWords(login)} true`
  if (exitCode === 0) return { ok: false, evidence: 'another key was let in' }
  const evidence = lastLine(stderr)
  // The server names what one could still try: "Permission denied (publickey,password)."
  const methods = /Permission denied \(([^)]*)\)/.exec(evidence)?.[1]?.split(',') ?? []
  const ok = methods.length > 0 && methods.every((method) => method === 'publickey')
  return { ok, evidence }
}

/**
 * A line that kernel or services write to the console, also in the middle of what a log-in writes in parts:
 * "[   12.345678] kernel: …", "[  OK  ] Started …", and what systemd indents as far.
 */
const OTHERS = String.raw`(?:\[| {9}).*\n`

/** The line of a text that names the image and its version; one that looks like others' counts too, if it is there. */
function namingLine(text: string, { name, version }: NamedImage): string | undefined {
  const find = (lines: string) =>
    lines.split('\n').find((line) => line.includes(name) && line.includes(version))
  return find(text) ?? find(text.replaceAll(new RegExp(OTHERS, 'g'), ''))
}

/** Whether a text that was shown names the image. */
export function bannerVerdict(shown: string, image: NamedImage): Verdict {
  const line = namingLine(shown, image)
  const missing = `no line with "${image.name}" and "${image.version}" before the prompt`
  return { ok: line !== undefined, evidence: line?.trim() ?? missing }
}

/**
 * Log in as an operator would who has nothing but the console; the message of the day and the prompt.
 *
 * @throws {ConsoleTimeout} when something does not appear
 * @throws {BuildError} when the message of the day does not name the image
 */
export async function consoleLogin(
  console: SerialConsole,
  { rootPassword, hostname }: Instance,
  image: NamedImage,
  seconds: number,
): Promise<string> {
  const limits = { seconds, silentSeconds: seconds }
  const wait = (shows: RegExp, what: string, from: number) =>
    console.waitFor(shows, { what, limits, from, signal: stopSignal() })
  const start = console.text.length
  console.write('\n')
  // Not looked for at the end of the text: lines of others may have come behind them.
  const { next } = await wait(loginPrompt(hostname), 'A log-in prompt', start)
  console.write('root\n')
  const asked = await wait(/Password: /, 'The question for a password', next)
  console.write(`${rootPassword}\n`)
  const prompt = `root@${hostname}:~#`
  await wait(new RegExp(`${prompt} `), `The prompt ${prompt}`, asked.next)
  const message = namingLine(console.text.slice(asked.next), image)
  if (message !== undefined) return `${message.trim()}; ${prompt}`
  throw new BuildError(`no line with "${image.name}" and "${image.version}" after the log-in`)
}

/** A conversation with the guest. @throws {BuildError} when it takes too long */
export async function within<T>(seconds: number, work: Promise<T>): Promise<T> {
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
