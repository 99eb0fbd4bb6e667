/**
 * `create-image-debian` when things go wrong: each time a one-line error, the right exit status, and
 * nothing left behind. The builds share a package cache, so that the network is asked once.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { createServer, globalAgent, request, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseLock } from '../../lib/packages/lock.ts'
import {
  assertNothingLeft,
  leftovers,
  machineMirrors,
  type Outcome,
  run,
  start,
  warmCache,
  workDir,
} from '../live.ts'

const { dir, remove } = await workDir()
const mirrors = machineMirrors()
const cache = join(dir, 'cache')
const output = join(dir, 'bits')
const before = leftovers()
const build = (...more: string[]) => ['12', '--output', output, '--cache', cache, ...more]

/** One line of error, and its hint in indented lines, at the end of standard error; nothing else is left. */
function assertFailed(outcome: Outcome, status: number, message: RegExp, hint?: RegExp) {
  const lines = outcome.stderr.trimEnd().split('\n')
  const at = lines.findIndex((line) => line.startsWith('Error: '))
  const rest = lines.slice(at + 1)
  assert.ok(at >= 0 && rest.every((line) => line.startsWith('  ')), `the error is last:\n${rest}`)
  assert.match(lines[at]!, message)
  if (hint) assert.match(rest.join('\n'), hint)
  assert.not.match(outcome.stderr, /^ +at .*:\d+:\d+/m, 'no stack trace')
  assert.is(outcome.status, status)
  assert.is(outcome.stdout, '')
  assertNothingLeft(before)
  assert.not(existsSync(output), 'no output directory')
}

/** A server on loopback for the time of one test. */
async function withServer<T>(answer: RequestListener, work: (url: string) => Promise<T>) {
  const server: Server = createServer(answer)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  } finally {
    server.closeAllConnections()
    server.close()
    // Requests behind it that nobody reads any more would keep this process from its end; of those that a client
    // has sent ahead Node does not say that they are closed.
    globalAgent.destroy()
  }
}

const faults = suite('create-image-debian, faults')
faults.after(remove)

faults('mirror unreachable', async () => {
  const outcome = await run(
    'create-image-debian',
    build('--mirror', 'http://127.0.0.1:9/debian', '--security-mirror', 'none'),
  )
  assertFailed(
    outcome,
    1,
    /Cannot install packages: .*127\.0\.0\.1/,
    /network, --mirror and --proxy/,
  )
})
faults('mirror without the release', () =>
  withServer(
    (_, response) => response.writeHead(404).end('no'),
    async (url) => {
      const outcome = await run(
        'create-image-debian',
        build('--mirror', url, '--security-mirror', 'none'),
      )
      assertFailed(outcome, 1, /does not have a Release file/, /--mirror/)
    },
  ),
)
faults('package that breaks off half-way', () =>
  withServer(
    // A proxy that lets everything through but one package, of which it sends the first half.
    (incoming, response) => {
      const broken = /\/netplan\.io_/.test(incoming.url!)
      const {
        host: _host,
        'proxy-connection': _proxy,
        range: _range,
        ...headers
      } = incoming.headers
      const outgoing = request(incoming.url!, { headers }, (answer) => {
        response.writeHead(answer.statusCode!, answer.headers)
        if (!broken) return answer.pipe(response)
        const half = Number(answer.headers['content-length']) / 2
        let sent = 0
        answer.on('data', (data: Buffer) => {
          response.write(data.subarray(0, Math.max(0, half - sent)))
          sent += data.length
          if (sent >= half) setTimeout(() => response.destroy(), 50)
        })
      })
      outgoing.on('error', () => response.destroy())
      outgoing.end()
    },
    async (url) => {
      const outcome = await run('create-image-debian', build('--proxy', url, ...mirrors))
      assertFailed(outcome, 1, /Cannot install packages: .*netplan\.io/)
    },
  ),
)
faults('package that does not exist', async () => {
  const outcome = await run(
    'create-image-debian',
    build('--include', 'no-such-package', ...mirrors),
  )
  assertFailed(outcome, 1, /no-such-package/, /--include/)
})
faults('disk full where the system is installed', async () => {
  const small = join(dir, 'small')
  await mkdir(small)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=300m', 'tmpfs', small])
  try {
    const words = build('--work', 'disk', ...mirrors)
    const outcome = await run('create-image-debian', words, { env: { TMPDIR: small } })
    assert.equal(await readdir(small), [])
    assertFailed(outcome, 1, /No space left|not enough free space|enough free/i, /disk is full/)
  } finally {
    execFileSync('umount', [small])
  }
})
for (const [name, line, signal, wait] of [
  ['the package lists are read', /Choose packages/, 'SIGINT', 300],
  ['packages are extracted', /Install packages/, 'SIGINT', 4000],
  ['packages are set up', /Install packages/, 'SIGTERM', 12_000],
] as const) {
  faults(`${signal} while ${name}`, async () => {
    const { child, outcome, shows } = start('create-image-debian', build(...mirrors))
    await shows(line)
    await delay(wait)
    const sent = Date.now()
    child.kill(signal)
    const result = await outcome
    assert.ok(Date.now() - sent < 15_000, 'it ends soon')
    assertFailed(result, 130, new RegExp(`Interrupted by ${signal}`))
  })
}
faults('customize script that fails', async () => {
  await warmCache(cache)
  const script = join(dir, 'my script.sh')
  await writeFile(script, '#!/bin/sh\necho about to fail\necho because of this >&2\nexit 7\n')
  await chmod(script, 0o755)
  const outcome = await run('create-image-debian', build('--customize', script, ...mirrors))
  assertFailed(
    outcome,
    1,
    /In the new system my_script\.sh exited with status 7: .*because of this/,
    /Its last lines:\n {4}about to fail\n {4}because of this/,
  )
})
faults('disk full where the image is written', async () => {
  const small = join(dir, 'small')
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=60m', 'tmpfs', small])
  try {
    const outcome = await run('create-image-debian', [
      ...['12', '--output', small, '--cache', cache, '--offline'],
      ...mirrors,
    ])
    assert.equal(await readdir(small), [])
    assertFailed(outcome, 1, /Cannot write ".*zfs\.gz": no space left/, /Free some space/)
  } finally {
    execFileSync('umount', [small])
  }
})
faults('disk full where packages are kept', async () => {
  const small = join(dir, 'small')
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=100m', 'tmpfs', small])
  try {
    const words = ['12', '--output', output, '--cache', small, ...mirrors]
    const outcome = await run('create-image-debian', words)
    assertFailed(outcome, 1, /No space left|not enough free space|space/i, /disk is full/)
  } finally {
    execFileSync('umount', [small])
  }
})
faults('disk full where stages are kept: it is said, and the image is made', async () => {
  const small = join(dir, 'small')
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=330m', 'tmpfs', small])
  const bits = join(dir, 'full')
  try {
    const words = ['12', '--output', bits, '--cache', small, ...mirrors]
    const { status, stderr } = await run('create-image-debian', words)
    assert.is(status, 0)
    assert.match(
      stderr,
      /Warning: Cannot keep the stage "base" for the next build: the disk of .* is full/,
    )
    const left = (await readdir(small, { recursive: true })).filter((name) =>
      /stages\/.*\//.test(name),
    )
    // What was kept before the disk was full is whole.
    const [choice, lock, ...others] = left.sort()
    assert.match(choice!, /^stages\/debian-12-smartos\/choice-[0-9a-f]{32}$/)
    assert.is(lock, `${choice}/lock.json`)
    parseLock(await readFile(join(small, lock!), 'utf8'), lock!)
    assert.equal(others, [])
    assertNothingLeft(before)
  } finally {
    execFileSync('umount', [small])
    await rm(bits, { recursive: true, force: true })
  }
})
for (const [what, option] of [
  ['output', '--output'],
  ['cache', '--cache'],
] as const) {
  faults(`${what} on a file system that is read-only`, async () => {
    const fixed = join(dir, 'small')
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', fixed])
    try {
      const given = option === '--output' ? [fixed, '--cache', cache] : [output, '--cache', fixed]
      const outcome = await run('create-image-debian', ['12', '--output', ...given, ...mirrors])
      assertFailed(outcome, 1, /^Error: Cannot .*read-only/, /another directory/)
    } finally {
      execFileSync('umount', [fixed])
    }
  })
}
faults('a mirror’s signed list that breaks off half-way', () =>
  withServer(
    (incoming, response) => {
      const {
        host: _host,
        'proxy-connection': _proxy,
        range: _range,
        ...headers
      } = incoming.headers
      const outgoing = request(incoming.url!, { headers }, (answer) => {
        response.writeHead(answer.statusCode!, answer.headers)
        if (!/InRelease/.test(incoming.url!)) return answer.pipe(response)
        const cut = () => response.destroy()
        answer.once('data', (data: Buffer) => response.write(data.subarray(0, 1000)))
        answer.once('data', () => setTimeout(cut, 50))
        answer.once('end', () => setTimeout(cut, 100))
      })
      outgoing.on('error', () => response.destroy())
      outgoing.end()
    },
    async (url) => {
      const words = ['12', '--output', output, '--cache', join(dir, 'unlisted')]
      const outcome = await run('create-image-debian', [...words, '--proxy', url, ...mirrors])
      assertFailed(outcome, 1, /Cannot install packages: /, /network, --mirror and --proxy|damaged/)
    },
  ),
)
for (const [step, signal] of [
  ['Make the disk', 'SIGINT'],
  ['Write the image', 'SIGTERM'],
] as const) {
  faults(`${signal} in step "${step}", after a package in the cache was cut off`, async () => {
    // apt has to notice, and fetch it again: the build goes on to the step.
    const archives = join(cache, 'packages/debian-bookworm/archives')
    const victim = (await readdir(archives)).find((name) => /^tzdata_/.test(name))!
    await truncate(
      join(archives, victim),
      Math.floor((await stat(join(archives, victim))).size / 2),
    )
    const { child, outcome, shows } = start('create-image-debian', build(...mirrors))
    await shows(new RegExp(step))
    await delay(1500)
    child.kill(signal)
    assertFailed(await outcome, 130, new RegExp(`Interrupted by ${signal}`))
  })
}
faults('stages that are damaged, as after a power cut, are made anew', async () => {
  const stages = join(cache, 'stages')
  const damage = async (stage: RegExp) => {
    const names = (await readdir(stages, { recursive: true })).filter((name) => stage.test(name))
    assert.is(names.length, 1, String(names))
    const path = join(stages, names[0]!)
    await truncate(path, Math.floor((await stat(path)).size / 2))
  }
  await damage(/\/base-[^/]*\/tree/)
  await damage(/\/system-[^/]*\/tree/)
  const { child, outcome, shows } = start('create-image-debian', build(...mirrors))
  await shows(/^Make the disk/m)
  child.kill('SIGINT')
  assertFailed(await outcome, 130, /Interrupted by SIGINT/)
  const { stderr } = await outcome
  for (const stage of ['base', 'system']) {
    assert.match(
      stderr,
      new RegExp(`^Warning: The stage "${stage}" in .* is damaged: it is made anew$`, 'm'),
    )
  }
  assert.match(stderr, /^Install packages: /m)
  assert.match(stderr, /^Set up the system: /m)
})
faults.run()
