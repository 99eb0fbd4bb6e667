/**
 * A Buildbot master and its workers on loopback, in directories of the test. Each worker is in a pid name space
 * of its own, so that killing it is what a power cut is to a machine: nothing of it goes on.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ended, root } from '../live.ts'

export const config = join(root, 'ci/buildbot/master.cfg')
/** Buildbot's words for how a build ended. */
export const RESULTS = ['success', 'warnings', 'failure', 'skipped', 'exception', 'retry']

export type BuildRow = { builder: string; worker: string; result: string; steps: StepRow[] }
export type StepRow = { name: string; started: boolean; result: string; logs: string[] }

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  await new Promise((done) => server.close(done))
  if (address === null || typeof address === 'string') throw new Error('No port is free')
  return address.port
}

const QUERY = `
import json, sqlite3, sys
db = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True, timeout=30)
rows = lambda *words: [list(row) for row in db.execute(*words)]
print(json.dumps([[builder, worker, results, rows(
    '''select name, started_at, results, (select group_concat(logs.name) from logs where stepid = steps.id)
    from steps where buildid = ? order by number''', (id,))]
  for id, builder, worker, results in rows('''
    select builds.id, builders.name, workers.name, builds.results from builds
    join builders on builders.id = builds.builderid join workers on workers.id = builds.workerid
    order by builds.id''')]))`
const word = (result: number | null) => (result === null ? 'none yet' : RESULTS[result]!)

/** A master that runs; its workers are started one by one. */
export async function startFarm(
  dir: string,
  settings: { repository: string; branch: string; [more: string]: unknown },
  workers: string[],
) {
  const port = await freePort()
  const master = join(dir, 'master')
  const running = new Map<string, ChildProcess>()
  await mkdir(master, { recursive: true })
  const all = {
    workers: Object.fromEntries(workers.map((name) => [name, `secret of ${name}`])),
    changes: { user: 'hook', password: 'secret of hook' },
    listen: `tcp:${port}:interface=127.0.0.1`,
    ...settings,
  }
  await writeFile(join(master, 'settings.json'), JSON.stringify(all), { mode: 0o600 })
  execFileSync('buildbot', ['create-master', '--quiet', `--config=${config}`, master])

  const launch = (name: string, words: string[], env: NodeJS.ProcessEnv = {}) => {
    // Whatever ends the test, also SIGKILL at its limit, ends these.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...words], {
      detached: true, // a process group of its own
      stdio: 'ignore',
      env: { ...process.env, ...env },
    })
    running.set(name, child)
  }
  const log = () => {
    const path = join(master, 'twistd.log')
    return existsSync(path) ? readFileSync(path, 'utf8') : ''
  }
  launch('master', ['buildbot', 'start', '--nodaemon', master])
  /** Start a worker, also one that was killed. */
  const startWorker = async (name: string) => {
    const home = join(dir, name)
    const words = ['create-worker', '--quiet', home, `127.0.0.1:${port}`, name, `secret of ${name}`]
    if (!existsSync(home)) execFileSync('buildbot-worker', words)
    await mkdir(join(home, 'tmp'), { recursive: true })
    const nameSpace = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc']
    const env = { TMPDIR: join(home, 'tmp') }
    launch(name, [...nameSpace, 'buildbot-worker', 'start', '--nodaemon', home], env)
  }
  const kill = async (name: string) => {
    const child = running.get(name)
    if (child?.pid === undefined) throw new Error(`Cannot kill ${name}: it does not run`)
    process.kill(-child.pid, 'SIGKILL')
    await ended(child)
    running.delete(name)
  }
  await waitFor('the master to run', 120, () => /BuildMaster is running/.test(log()), log)
  return {
    master,
    log,
    startWorker,
    kill,
    runs: (name: string) => running.has(name),
    /** Hand in a change, as a git hook does; with the category "images" it is a demand for these. */
    sendChange(category: string, properties: Record<string, string> = {}) {
      const words = Object.entries({
        master: `127.0.0.1:${port}`,
        auth: 'hook:secret of hook',
        who: 'tester',
        vc: 'git',
        repository: settings.repository,
        branch: settings.branch,
        category,
      }).map(([key, value]) => `--${key}=${value}`)
      const given = Object.entries(properties).map(([key, value]) => `--property=${key}:${value}`)
      execFileSync('buildbot', ['sendchange', ...words, ...given, 'README.md'])
    },
    /** Every build that was begun, the oldest first. */
    builds(): BuildRow[] {
      const words = ['-c', QUERY, join(master, 'state.sqlite')]
      const text = execFileSync('python3', words, { encoding: 'utf8' })
      type Row = [
        string,
        string,
        number | null,
        [string, number | null, number | null, string | null][],
      ]
      return (JSON.parse(text) as Row[]).map(([builder, worker, result, steps]) => ({
        builder,
        worker,
        result: word(result),
        steps: steps.map(([name, started, of, logs]) => ({
          name,
          started: started !== null,
          result: word(of),
          logs: logs?.split(',') ?? [],
        })),
      }))
    },
    async stop() {
      for (const name of [...running.keys()].reverse()) await kill(name)
    },
  }
}

/** Look once a second until it is so. */
export async function waitFor(
  what: string,
  seconds: number,
  isSo: () => boolean,
  state: () => string,
): Promise<void> {
  for (const from = Date.now(); !isSo(); await delay(1000)) {
    if (Date.now() - from > seconds * 1000) {
      throw new Error(`Waited ${seconds} s for ${what}: ${state().slice(-4000)}`)
    }
  }
}
