/** Builds of Debian 12, each at a place of its own: what they give, and what they take of earlier ones. */
import * as assert from 'uvu/assert'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { assertNothingLeft, leftovers, machineMirrors, run } from './live.ts'

export type Place = { words: string[]; env: { TMPDIR: string } }
export type Built = {
  image: { path: string; sha1: string }
  manifest: string
  lock: string
  /** What it printed on standard error. */
  said: string
}

/** A cache, an output and a directory for temporary files of its own: another machine, nearly. */
export async function placeOf(dir: string): Promise<Place> {
  const tmp = join(dir, 'tmp')
  await mkdir(tmp, { recursive: true })
  const words = ['--output', join(dir, 'bits'), '--cache', join(dir, 'cache')]
  return { words: [...words, ...machineMirrors()], env: { TMPDIR: tmp } }
}

const before = leftovers()
/** A build that succeeds and leaves nothing. */
export async function build(
  { words, env }: Place,
  more: string[] = [],
  moreEnv: NodeJS.ProcessEnv = {},
): Promise<Built> {
  const { status, stdout, stderr } = await run(
    'create-image-debian',
    ['12', '--json', ...words, ...more],
    { env: { ...env, ...moreEnv } },
  )
  assert.is(status, 0, stderr)
  assertNothingLeft(before)
  return { ...(JSON.parse(stdout) as Omit<Built, 'said'>), said: stderr }
}
