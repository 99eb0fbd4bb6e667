import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { UsageError } from '../../lib/cli/errors.ts'
import { parseStages } from '../../lib/image/stages.ts'

const parsing = suite('parseStages()')
parsing('is fetch, iso, image when nothing is said', () => {
  assert.equal([...parseStages([])], ['fetch', 'iso', 'image'])
})
parsing('runs what is named, once, in the order of the work', () => {
  assert.equal(
    [...parseStages(['upload', 'image', 'image', 'fetch'])],
    ['fetch', 'image', 'upload'],
  )
})
parsing('knows the classic name of the answers', () => {
  assert.equal([...parseStages(['fetch', 'ks_iso', 'image'])], ['fetch', 'iso', 'image'])
})
parsing('refuses what is no stage', () => {
  assert.throws(
    () => parseStages(['fetch', 'images']),
    (error: Error) =>
      error instanceof UsageError &&
      error.message === 'Unknown stage "images": stages are fetch, iso, image, upload',
  )
})
parsing.run()
