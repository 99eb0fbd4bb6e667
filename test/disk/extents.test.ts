import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { allocatedExtents, parseMap } from '../../lib/disk/extents.ts'
import { errorOf, inTemporaryDir } from '../temporary.ts'

// Printed by qemu-img 7.2 for a file of 20 MiB with data at 1 MiB (8 KiB) and at 10 MiB (4 KiB).
const map = `[{ "start": 0, "length": 1048576, "depth": 0, "present": true, "zero": true, "data": false, "offset": 0},
{ "start": 1048576, "length": 4096, "depth": 0, "present": true, "zero": false, "data": true, "offset": 1048576},
{ "start": 1052672, "length": 4096, "depth": 0, "present": true, "zero": false, "data": true, "offset": 1052672},
{ "start": 1056768, "length": 9428992, "depth": 0, "present": true, "zero": true, "data": false, "offset": 1056768},
{ "start": 10485760, "length": 4096, "depth": 0, "present": true, "zero": false, "data": true, "offset": 10485760},
{ "start": 10489856, "length": 10481664, "depth": 0, "present": true, "zero": true, "data": false, "offset": 10489856}]`

const maps = suite('parseMap()')
maps('keeps what holds data, neighbours joined', () => {
  assert.equal(parseMap(map), [
    { offset: 1048576, length: 8192 },
    { offset: 10485760, length: 4096 },
  ])
  assert.equal(parseMap('[]'), [])
})
maps.run()

const extents = suite('allocatedExtents()')
extents('is the whole file where qemu-img is not installed, and nothing for an empty one', () =>
  inTemporaryDir(async (dir) => {
    const searched = process.env['PATH']
    process.env['PATH'] = dir
    try {
      await writeFile(join(dir, 'a'), 'abc')
      await writeFile(join(dir, 'b'), '')
      assert.equal(await allocatedExtents(join(dir, 'a')), [{ offset: 0, length: 3 }])
      assert.equal(await allocatedExtents(join(dir, 'b')), [])
      const error = await errorOf(() => allocatedExtents(join(dir, 'c')))
      assert.match(error.message, /^Cannot read ".*\/c": no such file/)
    } finally {
      process.env['PATH'] = searched
    }
  }),
)
extents.run()
