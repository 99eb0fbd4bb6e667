/** A build that is killed when a step begins; the next one works, and takes away what is left. */
import { suite } from 'uvu'
import { SIGNALS, STEPS, victim } from '../kills.ts'

const { whole, killed, forget, remove } = await victim()
const kills = suite('create-image-debian, killed')
kills.after(remove)

kills('works when nothing disturbs it', async () => {
  await whole()
})
for (const [i, step] of STEPS.entries()) {
  const signal = SIGNALS[i % SIGNALS.length]!
  kills(`${signal} when "${step}" begins`, async () => {
    // What is before the set-up is to be done anew; behind it, stages make it quick.
    if (i < STEPS.indexOf('Set up the system')) await forget()
    await killed(
      signal,
      step,
      i < STEPS.indexOf('Set up the system') ? [] : ['--size', `${11 + i}G`],
    )
  })
}
kills('works again after all of that', async () => {
  await whole()
})
kills.run()
