/**
 * Property tests, by fast-check: what holds for every input, tried with many that nobody would think of.
 *
 * The same inputs in every run, half as many as a test asks for, as all of them take a third of the time that fast tests
 * have. `PROPERTY_RUNS=20` tries twenty times as many as it asks for, `PROPERTY_SEED=17` others, and
 * `PROPERTY_SEED=random` others each time; a failure prints its seed, and the smallest input that it found.
 */
import { performance } from 'node:perf_hooks'
import fc from 'fast-check'
import * as assert from 'uvu/assert'
import { BuildError } from '../lib/cli/errors.ts'

export { fc }

const { PROPERTY_RUNS: times = '0.5', PROPERTY_SEED: seed = '1' } = process.env

/** Check a property with `runs` inputs, or as many times that as is asked for. @throws {Error} with an input that breaks it */
export async function holds<T>(
  runs: number,
  inputs: fc.Arbitrary<T>,
  property: (input: T) => unknown,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(inputs, async (input) => {
      await property(input)
    }),
    {
      includeErrorInReport: true, // the test runner shows no causes
      numRuns: Math.max(1, Math.round(runs * Number(times))),
      seed: seed === 'random' ? Date.now() | 0 : Number(seed),
    },
  )
}

/**
 * What an operator is told when work fails, or undefined when it does not. Any other error is a bug of ours, which
 * they would be shown with its stack, and is thrown.
 */
export async function told(work: () => unknown): Promise<BuildError | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (!(error instanceof BuildError)) throw error
    assert.match(error.message, /^\S/)
    return error
  }
}

/** Is it one line that a terminal can show as it is? Of what others wrote not a word may do more than be read. */
// eslint-disable-next-line no-control-regex
export const isLine = (text: string) =>
  text !== '' && !/[\x00-\x1f\x7f-\x9f\u2028\u2029]/.test(text)

/** Bytes of any kind. */
export const anyBytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes))

/** Text with anything in it: control characters, other scripts, halves of surrogate pairs. */
export const anyText = (maxLength = 40): fc.Arbitrary<string> =>
  fc.oneof(
    fc.string({ maxLength }),
    fc.string({ maxLength, unit: 'binary' }),
    fc.string({
      maxLength,
      unit: fc.constantFrom('\n', '\r', '\0', '\x1b[2J', "'", '"', ' ', '\\'),
    }),
  )

/** Lines made of words that a reader knows, and of others. */
export const linesOf = (words: readonly string[], maxLength = 12): fc.Arbitrary<string> =>
  fc
    .array(
      fc
        .array(fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...words) }, anyText(6)), {
          maxLength: 6,
        })
        .map((line) => line.join('')),
      { maxLength },
    )
    .map((lines) => lines.join('\n'))

/** Any value that JSON has, also such as have `toString` or `__proto__` of their own. */
export const anyJson = (): fc.Arbitrary<unknown> =>
  fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom<unknown>(null, true, false, 0, -1, 1.5, 2 ** 60, '', '0', {}, []),
      fc.string({ maxLength: 8 }),
      fc.double({ noNaN: true }),
      fc.array(tie('value'), { maxLength: 3 }),
      fc
        .array(
          fc.tuple(
            fc.oneof(
              fc.constantFrom('toString', 'valueOf', '__proto__', 'constructor', 'length'),
              fc.string({ maxLength: 5 }),
            ),
            tie('value'),
          ),
          { maxLength: 3 },
        )
        .map((pairs) =>
          JSON.parse(
            `{${pairs.map(([key, one]) => `${JSON.stringify(key)}:${JSON.stringify(one)}`).join(',')}}`,
          ),
        ),
    ),
  }))['value'] as fc.Arbitrary<unknown>

/** A good value, somewhere in it another one, or a field more or less. */
export function changedJson(good: unknown): fc.Arbitrary<unknown> {
  const places = placesIn(good)
  return fc
    .array(fc.tuple(fc.constantFrom(...places), fc.option(anyJson(), { nil: undefined })), {
      minLength: 1,
      maxLength: 3,
    })
    .map((changes) => changes.reduce((value, [place, to]) => putAt(value, place, to), good))
}

type Path = readonly (string | number)[]

function placesIn(value: unknown): Path[] {
  if (typeof value !== 'object' || value === null) return [[]]
  return [
    [],
    ...Object.entries(value).flatMap(([key, inner]) =>
      placesIn(inner).map((rest): Path => [key, ...rest]),
    ),
  ]
}

/** undefined: the field goes. */
function putAt(value: unknown, [key, ...rest]: Path, to: unknown): unknown {
  if (key === undefined) return to === undefined ? null : to
  if (typeof value !== 'object' || value === null) return value
  const copy: Record<string, unknown> | unknown[] = Array.isArray(value) ? [...value] : { ...value }
  const fields = copy as Record<string, unknown> // an array's indices are its keys
  if (rest.length === 0 && to === undefined) delete fields[key]
  else fields[key] = putAt(fields[key], rest, to)
  return Array.isArray(copy) ? copy.filter((one) => one !== undefined) : copy
}

/** Good bytes with something wrong: bits and bytes changed, parts lost, doubled or moved, the end cut off. */
export function damaged(good: Buffer, most = 4): fc.Arbitrary<Buffer> {
  const place = fc.nat(Math.max(0, good.length - 1))
  const part = fc.tuple(place, fc.integer({ min: 1, max: 64 }))
  const damage = fc.oneof(
    fc.tuple(place, fc.nat(7)).map(
      ([at, bit]) =>
        (b: Buffer) =>
          put(b, at, (old) => old ^ (1 << bit)),
    ),
    fc.tuple(place, fc.nat(255)).map(
      ([at, byte]) =>
        (b: Buffer) =>
          put(b, at, () => byte),
    ),
    fc
      .tuple(place, fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.constantFrom(2, 4, 8))
      .map(([at, byte, length]) => (b: Buffer) => {
        b.fill(byte, at & -length, Math.min(b.length, (at & -length) + length))
        return b
      }),
    part.map(
      ([at, length]) =>
        (b: Buffer) =>
          Buffer.concat([b.subarray(0, at), b.subarray(at + length)]),
    ),
    part.map(
      ([at, length]) =>
        (b: Buffer) =>
          Buffer.concat([b.subarray(0, at + length), b.subarray(at)]),
    ),
    fc.tuple(part, place).map(([[at, length], to]) => (b: Buffer) => {
      const moved = b.subarray(at, at + length)
      const rest = Buffer.concat([b.subarray(0, at), b.subarray(at + length)])
      return Buffer.concat([rest.subarray(0, to), moved, rest.subarray(to)])
    }),
    place.map((end) => (b: Buffer) => b.subarray(0, end)),
  )
  return fc
    .array(damage, { minLength: 1, maxLength: most })
    .map((all) => all.reduce((bytes, one) => one(Buffer.from(bytes)), good))
}

function put(bytes: Buffer, at: number, change: (old: number) => number): Buffer {
  if (at < bytes.length) bytes[at] = change(bytes[at]!)
  return bytes
}

/**
 * Work that has to take time in proportion to its input: this much of it in seconds, where squared it would be
 * minutes. Generous, as the machine may be busy.
 */
export async function soon<T>(work: () => T | Promise<T>, seconds = 5): Promise<T> {
  const before = process.cpuUsage()
  const began = performance.now()
  const result = await work()
  const { user, system } = process.cpuUsage(before)
  const cpu = (user + system) / 1e6
  const wall = (performance.now() - began) / 1000
  assert.ok(Math.min(cpu, wall) < seconds, `it took ${cpu.toFixed(1)} s of CPU`)
  return result
}
