/**
 * A build that is killed when a step begins; the next one works, and takes away what is left. Five of the thirty-three
 * pairs of signal and step: `npm run test:faults` tries all of them, and random moments.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { victim } from '../kills.ts'

const { whole, killed, warm, remove } = await victim()
await warm()
const kills = suite('create-image-debian, killed')
kills.after(remove)

for (const [signal, step, more] of [
  ['SIGKILL', 'Install packages', ['--fresh']],
  ['SIGTERM', 'Set up the system', []],
  ['SIGKILL', 'Write the image', []],
  // Another size is another image.
  ['SIGINT', 'Keep the image for the next build', ['--size', '11G']],
  ['SIGKILL', 'Write the manifest', ['--size', '12G']],
] as const) {
  kills(`${signal} when "${step}" begins`, async () => {
    assert.ok(await killed(signal, step, [...more]), 'it was not through')
  })
}
kills('works after all of that', async () => {
  await whole()
})
kills.run()
