/**
 * What the live tests share: commands of this project run as an operator runs them, a look at what
 * they left behind, and virtual machines that boot an image.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { cp, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))
export const command = (name: string) => join(root, 'bin', name)

/** One file at a time does `work`, of those that run side by side; @param path of a file that stands for it */
async function alone<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  const unlock = takeTurn(path)
  try {
    return await work()
  } finally {
    unlock()
  }
}
function takeTurn(path: string): () => void {
  const lock = openSync(path, 'w')
  // The lock is the open file's, not flock's: it is there until we close it.
  spawnSync('flock', ['3'], { stdio: ['ignore', 'ignore', 'inherit', lock] })
  return () => closeSync(lock)
}

/** Install Debian packages that a test needs, when they are missing. */
export function needPackages(packages: Record<string, string>): void {
  const find = (file: string) =>
    file.startsWith('/') ? spawnSync('test', ['-e', file]) : spawnSync('which', [file])
  const unlock = process.getuid?.() === 0 ? takeTurn('/run/hybrid-tests-packages') : () => {}
  try {
    const missing = Object.entries(packages).filter(([file]) => find(file).status !== 0)
    if (missing.length > 0) install([...new Set(missing.map(([, name]) => name))])
  } finally {
    unlock()
  }
}
function install(names: string[]): void {
  console.error(`Installing for this test: ${names.join(' ')}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' }
  const apt = (...words: string[]) => spawnSync('apt-get', words, { env, encoding: 'utf8' })
  // A command of ours may be reading the lists: apt does not wait for that.
  while (/Could not get lock/.test(apt('update').stderr)) spawnSync('sleep', ['1'])
  const { status, stderr } = apt(
    ...['install', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300', ...names],
  )
  if (status !== 0) throw new Error(`Cannot install ${names.join(' ')}: ${stderr}`)
}

/** The mirrors that this machine's own packages come from, as options of create-image-debian. */
export function machineMirrors(): string[] {
  const dir = '/etc/apt/sources.list.d'
  const files = ['/etc/apt/sources.list', ...readdirSync(dir).map((name) => join(dir, name))]
  const text = files
    .filter((file) => /\.(list|sources)$/.test(file))
    .map((file) => spawnSync('cat', [file], { encoding: 'utf8' }).stdout)
    .join('\n')
  const urls = [...text.matchAll(/^(?:URIs:|deb(?: \[.*?\])?) +(https?:\/\/\S+)/gm)].map(
    ([, url]) => url!,
  )
  const security = urls.find((url) => /security/.test(url))
  const main = urls.find((url) => /debian\/?$/.test(url) && !/security/.test(url))
  if (!main) return [] // the command's own default is the vendor's
  return ['--mirror', main, '--security-mirror', security ?? 'none']
}

export type Outcome = { status: number | null; stdout: string; stderr: string; seconds: number }

/** A command that runs; `outcome` resolves at its end. */
export function start(
  name: string,
  args: string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
) {
  const started = Date.now()
  const child = spawn(command(name), args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const result = { stdout: '', stderr: '' }
  child.stdout.on('data', (data: Buffer) => (result.stdout += data))
  child.stderr.on('data', (data: Buffer) => {
    result.stderr += data
    process.stderr.write(data)
  })
  const outcome = new Promise<Outcome>((done) => {
    child.on('close', (status) =>
      done({ status, ...result, seconds: (Date.now() - started) / 1000 }),
    )
  })
  /** Resolves when standard error shows a text. */
  const shows = async (text: RegExp) => {
    while (!text.test(result.stderr)) {
      if (child.exitCode !== null)
        throw new Error(`It ended before it showed ${text}:\n${result.stderr}`)
      await delay(20)
    }
  }
  return { child, outcome, shows }
}

export const run = (...args: Parameters<typeof start>) => start(...args).outcome

/** Temporary directories, mounts and processes of builds, to compare before and after. */
export function leftovers(): string[] {
  const temporary = [process.env['TMPDIR'] || '/var/tmp', '/tmp'].flatMap((dir) =>
    readdirSync(dir)
      .filter((name) =>
        /^((debian|ubuntu|rocky|almalinux|oraclelinux|centos|retro|boot-cd)-|mmdebstrap|machine-|test-image-)/.test(
          name,
        ),
      )
      .map((name) => join(dir, name)),
  )
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter((line) => /debian-1\d-/.test(line))
  const processes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
        const program = words.slice(0, 2).join(' ')
        return /mmdebstrap|mkfs|libdeflate-gzip|apt-get|\/dpkg|qemu-system|^ssh /.test(program)
          ? [words.join(' ')]
          : []
      } catch {
        return [] // it ended meanwhile
      }
    })
  return [...temporary, ...mounts, ...processes]
}

/** Nothing of a build may be here that was not here before it. */
export function assertNothingLeft(before: string[]): void {
  const more = leftovers().filter((one) => !before.includes(one))
  if (more.length > 0) throw new Error(`The build left behind:\n${more.join('\n')}`)
}

/** Of the moments at which the power may go every fourth is tried, with $EVERY_CUT set every one. */
export const CUT_STRIDE = process.env['EVERY_CUT'] ? 1 : 4
export const someCuts = <T>(all: readonly T[]): T[] => all.filter((_, i) => i % CUT_STRIDE === 0)

/**
 * Fill a cache as a build of Debian 12 leaves it: packages, and what is installed of them (and the image as well). For
 * tests of what comes behind that. The first of a run (test/run.ts) makes it for all, one that runs alone for itself.
 */
export async function warmCache(cache: string, { image = false } = {}): Promise<void> {
  const shared = process.env['LIVE_CACHE']
  const place = shared ?? dirname(cache)
  const made = join(place, 'warm-cache')
  await alone(`${made}.lock`, async () => {
    if (existsSync(made)) return
    const partial = `${made}.partial`
    const words = ['12', '--output', join(place, 'warm-bits'), '--cache', partial]
    const { status, stderr } = await run('create-image-debian', [...words, ...machineMirrors()])
    if (status !== 0) throw new Error(`Cannot warm a cache: ${stderr}`)
    await rm(join(place, 'warm-bits'), { recursive: true })
    await rename(partial, made)
  })
  // A copy: what tests do to a cache is not for the others.
  await cp(made, cache, { recursive: true, preserveTimestamps: true })
  if (image) return
  for (const name of await readdir(join(cache, 'stages'), { recursive: true })) {
    if (/\/(image|system)-[0-9a-f]+$/.test(name)) {
      await rm(join(cache, 'stages', name), { recursive: true })
    }
  }
}

/** A directory for a test file, below /var/tmp: images are larger than /tmp may be. */
export async function workDir(): Promise<{ dir: string; remove: () => Promise<void> }> {
  const dir = await mkdtemp('/var/tmp/hybrid-live-')
  return { dir, remove: () => rm(dir, { recursive: true, force: true }) }
}

/** Wait until a child process has ended. */
export function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((done) => child.on('exit', () => done()))
}
