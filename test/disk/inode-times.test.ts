import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { inodeTimesCommands, usedInodes } from '../../lib/disk/inode-times.ts'

const inodes = suite('times of inodes')
inodes('are set for those that files have, from the first to the last', () => {
  assert.is(
    inodeTimesCommands(12, 1700000000),
    'sif <11> atime @1700000000\nsif <11> ctime @1700000000\n' +
      'sif <12> atime @1700000000\nsif <12> ctime @1700000000\n',
  )
})
inodes('are counted by what debugfs says', () => {
  assert.is(
    usedInodes('Inode count:              647168\nFree inodes:              621252\n'),
    25916,
  )
  assert.throws(() => usedInodes('Inode count: 100\n'), /debugfs counts no inodes/)
})
inodes.run()
