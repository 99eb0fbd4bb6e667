import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openExt } from '../../lib/hygiene/ext.ts'
import { openXfs } from '../../lib/hygiene/xfs.ts'
import { SystemFiles } from '../../lib/hygiene/files.ts'
import { systemOf, volumeOf } from './plants.ts'

const paths = suite('SystemFiles')
const system = systemOf({
  '/etc/real': 'text',
  '/etc/near': '-> real',
  '/etc/far': '-> /var/up/../a/b',
  '/var/a/b': 'b',
  '/var/up/x': '',
  '/lib': '-> usr/lib',
  '/usr/lib/os': 'os',
  '/ring': '-> /ring',
  '/away': '-> ../../../../etc/real',
  '/gone': '-> /nowhere',
})
paths('follows links, near, far, on the way and above the root', () => {
  assert.is(system.text('/etc/near'), 'text')
  assert.is(system.text('/etc/far'), 'b')
  assert.is(system.text('/lib/os'), 'os')
  assert.is(system.text('/away'), 'text')
})
paths('ends in rings and where links lead nowhere', () => {
  assert.is(system.text('/ring'), undefined)
  assert.is(system.text('/gone'), undefined)
  assert.ok(system.has('/gone'))
  assert.is(system.link('/gone'), '/nowhere')
})
paths('has no file below a file', () => {
  assert.is(system.text('/etc/real/more'), undefined)
  assert.equal(system.list('/etc/real'), [])
})
paths('enters what is mounted, and does not follow links on a walk', () => {
  const mounted = new SystemFiles(
    new Map([
      ['/', volumeOf({ '/boot/': '', '/etc/x': '', '/link': '-> /etc' })],
      ['/boot', volumeOf({ '/grub/grub.cfg': 'menu' })],
    ]),
  )
  assert.is(mounted.text('/boot/grub/grub.cfg'), 'menu')
  assert.is(mounted.text('/boot/../etc/x'), '')
  assert.equal(
    [...mounted.walk('/')].map(({ path }) => path),
    ['/boot', '/boot/grub', '/boot/grub/grub.cfg', '/etc', '/etc/x', '/link'],
  )
})
paths.run()

const damaged = suite('file systems whose blocks have no size')
damaged('are refused: a step of no bytes would have no end', () => {
  const ext = Buffer.alloc(1 << 20)
  ext.writeUInt16LE(0xef53, 1024 + 56)
  ext.writeUInt32LE(22, 1024 + 24)
  const xfs = Buffer.alloc(1 << 20)
  xfs.write('XFSB')
  const read = (bytes: Buffer) => (at: number, length: number) => bytes.subarray(at, at + length)
  assert.throws(() => openExt(read(ext), 0), /its superblock is damaged/)
  assert.throws(() => openXfs(read(xfs), 0), /its superblock is damaged/)
})
damaged.run()
