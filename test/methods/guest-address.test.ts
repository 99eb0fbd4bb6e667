import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { guestAddress } from '../../lib/methods/guest-address.ts'

const address = suite('guestAddress()')
for (const [given, expected] of [
  ['http://127.0.0.1:3142/debian', 'http://10.0.2.2:3142/debian'],
  ['http://localhost:3128', 'http://10.0.2.2:3128'],
  ['http://localhost/', 'http://10.0.2.2/'],
  ['http://[::1]:8000/x', 'http://10.0.2.2:8000/x'],
  ['http://127.8.9.1/x/', 'http://10.0.2.2/x/'],
  ['http://me:secret@localhost:3128', 'http://me:secret@10.0.2.2:3128'],
  ['http://mirror.example.com/debian', 'http://mirror.example.com/debian'],
  ['http://localhost.example.com/debian', 'http://localhost.example.com/debian'],
] as const) {
  address(`${given} is ${expected}`, () => {
    assert.is(guestAddress(given, '10.0.2.2'), expected)
  })
}
address.run()
