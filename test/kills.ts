/**
 * Builds that are ended by a signal, at a step or after some time, and what has to hold then: nothing is left behind,
 * no directory with a final name holds half a build, and the next build works.
 */
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ownedName } from '../lib/cli/owned.ts'
import {
  assertNothingLeft,
  leftovers,
  machineMirrors,
  run,
  start,
  warmCache,
  workDir,
} from './live.ts'

export const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGKILL'] as const
export type Signal = (typeof SIGNALS)[number]

/** Steps of a build that finds nothing of an earlier one but packages, in their order. */
export const STEPS = [
  'Check the host',
  'Choose packages',
  'Install packages',
  'Keep the packages for the next build',
  'Set up the system',
  'Make the disk',
  'Write the image',
  'Keep the image for the next build',
  'Write the records',
  'Write the manifest',
  'Write the report',
] as const

/** When a build is ended: when a step begins, or that many milliseconds after the start. */
export type Moment = (typeof STEPS)[number] | number

/** A build with a cache and an output of its own, which all of them share. */
export async function victim() {
  const { dir, remove } = await workDir()
  const output = join(dir, 'bits')
  const cache = join(dir, 'cache')
  const tmp = join(dir, 'tmp')
  await mkdir(tmp)
  const before = leftovers()
  const words = ['12', '--output', output, '--cache', cache, ...machineMirrors()]
  const env = { TMPDIR: tmp }

  /** Names below the output that are no build's: halves, and what is not finished. */
  const halves = () => {
    const builds = join(output, 'debian-12')
    if (!existsSync(builds)) return []
    return readdirSync(builds).flatMap((stamp) => {
      if (stamp.endsWith('.partial')) return [stamp]
      const files = readdirSync(join(builds, stamp))
      const whole = ['imgmanifest', 'lock.json', 'report.html', 'zfs.gz'].every((ending) =>
        files.some((file) => file.endsWith(`.${ending}`)),
      )
      return whole && !files.some((file) => file.endsWith('.partial')) ? [] : [stamp]
    })
  }
  /** Of the cache: locks, halves, directories of processes that are gone. */
  const unfinished = () =>
    existsSync(cache)
      ? (readdirSync(cache, { recursive: true }) as string[]).filter((name) =>
          /(\.lock|\.partial|-[0-9a-f]{8}-\d+-\d+-\w+)$/.test(name),
        )
      : []

  return {
    remove,
    /** A build that nothing disturbs; its seconds. */
    async whole(more: string[] = []) {
      const { status, stdout, stderr, seconds } = await run(
        'create-image-debian',
        [...words, ...more],
        { env },
      )
      assert.is(status, 0, stderr)
      assert.equal(halves(), [])
      assert.equal(unfinished(), [])
      assert.equal(readdirSync(tmp), [])
      assertNothingLeft(before)
      const checked = await run('inspect-image', [stdout.trim()])
      assert.is(checked.status, 0, 'the image is whole')
      return seconds
    },
    /** A build that is ended then; @returns whether it was before it was done. */
    async killed(signal: Signal, moment: Moment, more: string[] = []): Promise<boolean> {
      const { child, outcome } = start('create-image-debian', [...words, ...more], { env })
      if (typeof moment === 'number') {
        await Promise.race([delay(moment), outcome])
        child.kill(signal)
      } else {
        // At once: some steps are over in a moment.
        const begins = new RegExp(`^${moment}$`, 'm')
        let said = ''
        const listen = (data: Buffer) => {
          said += data
          if (!begins.test(said)) return
          child.stderr.off('data', listen)
          child.kill(signal)
        }
        child.stderr.on('data', listen)
      }
      const { status, stderr, stdout } = await outcome
      if (typeof moment === 'string') assert.match(stderr, new RegExp(`^${moment}$`, 'm'))
      if (status === 0) {
        // It was through when the signal came.
        assert.ok(stdout !== '')
        return false
      }
      assert.not.match(stderr, /^ +at .*:\d+:\d+/m, 'no stack trace')
      if (signal === 'SIGKILL') return true
      // A signal before Node listens ends it as any program.
      const unheard = child.signalCode === signal && !/^\S/m.test(stderr)
      if (!unheard) assert.is(status, 130, `${signal} at ${moment}: ${stderr}`)
      assert.equal(halves(), [])
      assert.equal(unfinished(), [])
      assert.equal(readdirSync(tmp), [])
      assertNothingLeft(before)
      return true
    },
    /** Have packages, what is installed of them, and the half of it that a killed build was about to keep. */
    async warm() {
      await warmCache(cache)
      const base = (readdirSync(cache, { recursive: true }) as string[]).find((name) =>
        /\/base-[0-9a-f]{32}$/.test(name),
      )
      const half = ownedName(base!).replace(`-${process.pid}-`, `-${spawnSync('true').pid}-`)
      await mkdir(join(cache, half))
    },
  }
}
