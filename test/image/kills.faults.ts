/**
 * A hundred builds that are ended at a random moment ($FAULT_RUNS for another number, $FAULT_SEED to repeat one), and
 * every signal at the beginning of every step. After each SIGKILL, and at the end, the next build has to work.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Random } from '../random.ts'
import { SIGNALS, STEPS, victim } from '../kills.ts'

const RUNS = Number(process.env['FAULT_RUNS'] ?? 100)
const seed = Number(process.env['FAULT_SEED'] ?? Date.now() % 1_000_000)
console.error(`Seed ${seed}`)

const { whole, killed, remove } = await victim()
/** Up to here a build has to be fresh; what is behind that is done for every disk of another size. */
const LAST = STEPS.indexOf('Set up the system')
const FRESH = ['--fresh']
/** The next build: that of which a half may be there. */
const again = (words: string[]) => whole(words === FRESH ? [] : words)
const kills = suite('create-image-debian, killed at any time')
kills.after(remove)

let seconds = { fresh: 0, kept: 0 }
kills('works when nothing disturbs it', async () => {
  await whole() // packages are fetched
  seconds = { fresh: await whole(['--fresh']), kept: await whole(['--size', '11G']) }
})
for (const [s, signal] of SIGNALS.entries()) {
  for (const [i, step] of STEPS.entries()) {
    kills(`${signal} when "${step}" begins`, async () => {
      const more = i <= LAST ? FRESH : ['--size', `${100 + s * STEPS.length + i}G`]
      assert.ok(await killed(signal, step, more), 'it was not through')
      if (signal === 'SIGKILL') await again(more)
    })
  }
}
const random = new Random(seed)
const next = () => random.below(1000) / 1000
let ended = 0
for (let i = 0; i < RUNS; i += 1) {
  const signal = SIGNALS[Math.floor(next() * SIGNALS.length)]!
  const kind = next() < 0.25 ? 'fresh' : 'kept'
  const part = next()
  kills(`run ${i + 1}: ${signal}, ${(part * 100).toFixed(0)} % of a ${kind} build`, async () => {
    const more = kind === 'fresh' ? FRESH : ['--size', `${12 + i}G`]
    const at = Math.floor(part * seconds[kind] * 1000)
    const began = Date.now()
    if (await killed(signal, at, more)) ended += 1
    // The machine had more to do when its time was taken.
    else seconds[kind] = Math.min(seconds[kind], (Date.now() - began) / 1000)
    if (signal === 'SIGKILL') await again(more)
  })
}
kills('works again after all of that, and most of them were ended', async () => {
  await whole()
  assert.ok(ended > RUNS / 2, `${ended} of ${RUNS}`)
})
kills.run()
