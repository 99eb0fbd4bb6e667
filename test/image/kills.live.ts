/**
 * A build that is killed when a step begins, whichever it is; the next one works, and takes away what is left. Eleven of
 * the thirty-three pairs of signal and step: `npm run test:faults` tries all of them, and random moments.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { victim } from '../kills.ts'

const { whole, killed, warm, remove } = await victim()
await warm()
const kills = suite('create-image-debian, killed')
kills.after(remove)

/** Over in a moment: a signal may come when all is done. */
const BRIEF: readonly string[] = ['Write the records', 'Write the report']
const FRESH = ['--fresh']
for (const [signal, step, more] of [
  ['SIGTERM', 'Check the host', FRESH],
  ['SIGINT', 'Choose packages', FRESH],
  ['SIGKILL', 'Install packages', FRESH],
  ['SIGINT', 'Keep the packages for the next build', FRESH],
  ['SIGTERM', 'Set up the system', []],
  ['SIGINT', 'Make the disk', []],
  ['SIGKILL', 'Write the image', []],
  // Another size is another image.
  ['SIGINT', 'Keep the image for the next build', ['--size', '11G']],
  ['SIGTERM', 'Write the records', ['--size', '12G']],
  ['SIGKILL', 'Write the manifest', ['--size', '13G']],
  ['SIGTERM', 'Write the report', ['--size', '14G']],
] as const) {
  kills(`${signal} when "${step}" begins`, async () => {
    const early = await killed(signal, step, [...more])
    assert.ok(early || BRIEF.includes(step), 'it was not through')
  })
}
kills('works after all of that', async () => {
  await whole()
})
kills.run()
