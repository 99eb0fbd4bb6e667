import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { COMPLAINT } from '../../lib/image/hybrid-image.ts'

const complaint = suite('COMPLAINT')
complaint('is what an installer says of itself', () => {
  for (const line of [
    'Error: no disk found',
    'Installation failed (see /tmp/log)',
    '  main-menu[1]: FATAL: cannot go on',
    '[ !! ] A step failed',
  ]) {
    assert.match(line, COMPLAINT)
  }
})
complaint('is what a kernel says of disks, not of its hardware', () => {
  assert.match('[   12.345678] I/O error, dev vda, sector 2048 op 0x1:(WRITE)', COMPLAINT)
  assert.not.match('[    0.000000] tsc: Fast TSC calibration failed', COMPLAINT)
  assert.not.match('[    0.512345] ERST: Error Record Serialization Table is missing', COMPLAINT)
})
complaint.run()
