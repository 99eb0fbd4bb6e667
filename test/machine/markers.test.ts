import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { checkMarkers, readMarkers } from '../../lib/machine/markers.ts'

const both = ['PRE', 'POST']
const good = 'boot\r\nJOYENT_STATUS_PRE=ok\r\nwork\nJOYENT_STATUS_POST=ok\n'

const markers = suite('checkMarkers()')
markers('accepts all that are expected', () => {
  checkMarkers(good, both)
  assert.equal(readMarkers(good), [
    { name: 'PRE', value: 'ok' },
    { name: 'POST', value: 'ok' },
  ])
})
for (const [what, text, wrong] of [
  ['nothing at all', 'Installing\n', /PRE is missing, JOYENT_STATUS_POST is missing/],
  ['a missing one', 'JOYENT_STATUS_PRE=ok\n', /JOYENT_STATUS_POST is missing$/],
  ['a failure', good.replace('POST=ok', 'POST=fail'), /JOYENT_STATUS_POST=fail$/],
  ['an empty one', good.replace('POST=ok', 'POST='), /JOYENT_STATUS_POST=$/],
  ['an unexpected one', `${good}JOYENT_STATUS_DRIVER=ok\n`, /DRIVER is unexpected/],
  ['a failure beside a success', `${good}JOYENT_STATUS_POST=fail\n`, /POST=fail/],
  ['a quoted one', 'log: echo JOYENT_STATUS_PRE=ok\nJOYENT_STATUS_POST=ok\n', /PRE is missing/],
] as const) {
  markers(`refuses ${what}`, () => assert.throws(() => checkMarkers(text, both), wrong))
}
markers('names each problem once', () => {
  const text = 'JOYENT_STATUS_PRE=fail\n'.repeat(3)
  assert.throws(() => checkMarkers(text, ['PRE']), /^Installation failed: JOYENT_STATUS_PRE=fail$/)
})
markers.run()
