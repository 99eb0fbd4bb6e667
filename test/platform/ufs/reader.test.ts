import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Random } from '../../random.ts'
import type { Given } from './mkufs.ts'
import { someBytes } from './model.ts'
import { make, MIB, read, remove, tree } from './one-image.ts'

const reading = suite('openUfs()')
reading('lists names with what they are, sorted', () => {
  make(tree)
  read((ufs) => {
    const shown = (at: string) => ufs.list(at).map(({ name, type }) => `${name} ${type}`)
    assert.equal(shown('/dev'), ['console character device', 'disk block device', 'initpipe fifo'])
    assert.equal(shown('/etc'), ['inet directory', 'ntp.conf symlink', 'shadow file'])
    assert.is(ufs.stat('/dev/console').device, 0x1234)
    assert.equal(ufs.stat('/etc/shadow'), {
      type: 'file',
      mode: 0o400,
      uid: 4,
      gid: 5,
      bytes: 8,
      mtimeSeconds: 1000,
      links: 1,
      inode: 5,
      device: 0,
    })
    assert.is(ufs.stat('/').inode, 2)
    assert.is(
      [...ufs.walk('/etc')].map((one) => one.path).join(),
      '/etc/inet,/etc/inet/ntp.conf,/etc/ntp.conf,/etc/shadow',
    )
  })
})
reading('follows symbolic links on the way, not at the end', () => {
  make(tree)
  read((ufs) => {
    assert.is(ufs.readFile('/bin/sh').toString(), '#!')
    assert.is(ufs.readFile('/absolute/ksh').toString(), '#!')
    assert.is(ufs.readFile('/etc/../etc//inet/./ntp.conf').toString(), 'server a\n')
    assert.is(ufs.stat('/etc/inet/..').inode, ufs.stat('/etc').inode)
    assert.is(ufs.stat('/etc/ntp.conf').type, 'symlink')
    assert.is(ufs.readLink('/etc/ntp.conf'), './inet/ntp.conf')
    assert.is(ufs.realPath('/etc/ntp.conf'), '/etc/inet/ntp.conf')
    assert.is(ufs.realPath('/bin/none'), '/usr/bin/none')
    assert.is(ufs.realPath('/..'), '/')
    assert.ok(ufs.exists('/bin/sh'))
    assert.ok(ufs.exists('/'))
    assert.not.ok(ufs.exists('/bin/bash'))
    assert.not.ok(ufs.exists('/none/bash'))
    assert.not.ok(ufs.exists('/etc/shadow/x'))
  })
})
reading('reads every size: direct, single and double indirect blocks, holes', () => {
  const random = new Random(3)
  const sizes = [0, 1, 1023, 1024, 4095, 4096, 12 * 4096 - 1, 12 * 4096, 12 * 4096 + 1]
  const large = [1036 * 4096, 1036 * 4096 + 1, 1100 * 4096 + 77]
  const contents = [...sizes, ...large].map((size) => someBytes(random, size))
  const sparse = Buffer.alloc(1100 * 4096 + 5)
  sparse.write('here', 700 * 4096)
  sparse.write('end', 1100 * 4096)
  make(
    [
      ...contents.map((content, i): Given => ({ type: 'file', path: `/f${i}`, content })),
      { type: 'file', path: '/sparse', content: sparse, sparse: true },
    ],
    24 * MIB,
  )
  read((ufs) => {
    contents.forEach((content, i) => assert.ok(ufs.readFile(`/f${i}`).equals(content), `${i}`))
    assert.ok(ufs.readFile('/sparse').equals(sparse))
    const [offset, length] = [700 * 4096 - 3, 20]
    const part = sparse.subarray(offset, offset + length)
    assert.ok(ufs.readAt('/sparse', offset, length).equals(part))
    assert.is(ufs.readAt('/f1', 5, 10).length, 0)
    assert.is(ufs.readAt('/f2', 1000, 1000).length, 23)
  })
})
reading.after(remove)
reading.run()
