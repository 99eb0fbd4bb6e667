import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { hasResource, readZoneConfig, withWords } from '../../lib/host/zone-config.ts'

const config = suite('zonecfg export')
config('is read with and without quotes', () => {
  const read = readZoneConfig(
    'create -b\nset brand=joyent\nset limitpriv="default,proc_clock_highres"\nadd fs\nset dir="/smartdc"\n' +
      'set special=/smartdc\nset type=lofs\nadd options ro\nend\nadd device\nset match=kvm\nend\n',
  )
  assert.is(read.properties['limitpriv'], 'default,proc_clock_highres')
  assert.is(read.resources.length, 2)
  const fs = { dir: '/smartdc', options: 'ro' }
  assert.ok(hasResource(read, { kind: 'fs', properties: fs }))
  assert.not(hasResource(read, { kind: 'device', properties: { match: '/dev/viona' } }))
})
config('keeps the words of a list that are there', () => {
  assert.is(withWords('default,a', ['a']), undefined)
  assert.is(withWords('default,a', ['a', 'b']), 'default,a,b')
  assert.is(withWords(undefined, ['a'], 'default'), 'default,a')
  assert.is(withWords('', ['pcfs', 'ufs']), 'pcfs,ufs')
})
config.run()
