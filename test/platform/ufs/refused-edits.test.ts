import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BuildError } from '../../../lib/cli/errors.ts'
import { editUfs, type Ufs } from '../../../platform/ufs/edit.ts'
import { errorOf } from '../../temporary.ts'
import { dir, edit, make, MIB, path, read, remove, text, tree } from './one-image.ts'

const refusing = suite('edits that cannot be')
const long = 'n'.repeat(256)
for (const [name, work, message] of [
  [
    'no absolute path',
    (u) => u.writeFile('etc/x', ''),
    /write "etc\/x" .* does not begin with "\/"/,
  ],
  ['a name that is too long', (u) => u.mkdir(`/${long}`), /a name has more than 255 bytes/],
  ['a name with NUL', (u) => u.mkdir('/a\0b'), /the path has a NUL/],
  ['a missing directory', (u) => u.writeFile('/none/x', ''), /there is no "\/none"/],
  ['a file as directory', (u) => u.mkdir('/etc/shadow/x'), /"\/etc\/shadow" is not a directory/],
  [
    'a directory that exists',
    (u) => u.mkdir('/etc'),
    /Cannot create directory "\/etc" .* exists already/,
  ],
  ['the root', (u) => u.mkdir('/'), /it exists already/],
  ['a link that exists', (u) => u.symlink('/bin', 'x'), /it exists already/],
  ['a link to nothing', (u) => u.symlink('/x', ''), /its target has 0 bytes/],
  ['a link too long', (u) => u.symlink('/x', 'x'.repeat(1024)), /its target has 1024 bytes/],
  [
    'a directory as file',
    (u) => u.writeFile('/etc', ''),
    /Cannot write "\/etc" .* it is a directory/,
  ],
  ['the root as file', (u) => u.writeFile('/', ''), /it is a directory/],
  ['a device as file', (u) => u.writeFile('/dev/console', ''), /it is a character device/],
  ['a link as file', (u) => u.writeFile('/etc/ntp.conf', ''), /it is a symlink/],
  ['removing what is missing', (u) => u.remove('/none'), /Cannot remove "\/none" .* no such file/],
  ['removing trees that are missing', (u) => u.removeTree('/none'), /no such file/],
  ['removing a directory as file', (u) => u.remove('/etc'), /it is a directory/],
  ['removing the root', (u) => u.removeTree('/'), /it is the root/],
  ['links that go round', (u) => u.readFile('/round/x'), /symbolic links go round/],
  ['the end of links that go round', (u) => u.realPath('/round'), /symbolic links go round/],
  ['reading a directory', (u) => u.readFile('/etc'), /it is a directory/],
  ['reading a link', (u) => u.readFile('/bin'), /it is a symlink/],
  ['reading a file as link', (u) => u.readLink('/etc/shadow'), /not a symbolic link/],
  ['listing a file', (u) => u.list('/etc/shadow'), /it is not a directory/],
  ['mode of a link', (u) => u.chmod('/bin', 0o777), /it is a symlink/],
  ['mode beyond its bits', (u) => u.chmod('/etc', 0o100755), /mode is 33261/],
  ['negative uid', (u) => u.chown('/etc', -1, 0), /uid is -1/],
  ['broken gid', (u) => u.writeFile('/x', '', { gid: 1.5 }), /gid is 1.5/],
  ['time beyond 2038', (u) => u.setTime('/etc', 2 ** 31), /time is 2147483648/],
  ['a directory as content', (u) => u.writeFile('/x', { file: dir }), /it is not a file/],
  [
    'content that is missing',
    (u) => u.writeFile('/x', { file: join(dir, 'none') }),
    /no such file/,
  ],
] as [string, (ufs: Ufs) => unknown, RegExp][]) {
  refusing(`${name}: the image stays as it was`, async () => {
    make(tree)
    const before = readFileSync(path)
    const error = await errorOf(() => editUfs(path, work))
    assert.instance(error, BuildError, error.stack)
    assert.match(error.message, message)
    assert.not.match(error.message, /\n/)
    assert.ok(readFileSync(path).equals(before))
    assert.equal(
      readdirSync(dir).filter((file) => file.includes('partial')),
      [],
    )
    // Caught, it leaves nothing behind either, and the edits around it are there.
    await edit((ufs) => {
      ufs.writeFile('/first', '1')
      assert.throws(() => work(ufs), message)
      ufs.writeFile('/second', '2')
    })
    read((ufs) => assert.is(ufs.readFile('/second').toString(), '2'))
  })
}
refusing('files with access control lists are not replaced', async () => {
  make(tree)
  const data = readFileSync(path)
  const { inode } = read((ufs) => ufs.stat('/etc/shadow'))
  data.writeInt32LE(9, 28 * 1024 + inode * 128 + 112)
  writeFileSync(path, data)
  for (const work of [
    (ufs: Ufs) => ufs.writeFile('/etc/shadow', ''),
    (ufs: Ufs) => ufs.remove('/etc/shadow'),
    (ufs: Ufs) => ufs.removeTree('/etc'),
    (ufs: Ufs) => ufs.chmod('/etc/shadow', 0),
  ]) {
    assert.match((await errorOf(() => editUfs(path, work))).message, /has an access control list/)
  }
})
refusing('compressed files are replaced, not read', async () => {
  make(tree)
  const data = readFileSync(path)
  const { inode } = read((ufs) => ufs.stat('/etc/shadow'))
  data.writeInt32LE(4, 28 * 1024 + inode * 128 + 100)
  writeFileSync(path, data)
  assert.throws(() => read((ufs) => ufs.readFile('/etc/shadow')), /fiocompress/)
  await edit((ufs) => ufs.writeFile('/etc/shadow', 'x'))
  assert.is(
    read((ufs) => ufs.readFile('/etc/shadow').toString()),
    'x',
  )
})
refusing('content that fails half-way: the image is given up, caught or not', async () => {
  make(tree)
  const before = readFileSync(path)
  const torn = () => {
    throw new Error('torn')
  }
  const error = await errorOf(() =>
    editUfs(path, (ufs) => {
      assert.throws(() => ufs.writeFile('/x', Object.assign(text('x'), { subarray: torn })), /torn/)
      ufs.writeFile('/y', 'y')
    }),
  )
  assert.match(error.message, /content of "\/x" was not written/)
  assert.ok(readFileSync(path).equals(before))
})
refusing.run()

const full = suite('full images')
full('say how many bytes are missing, and take what fits', async () => {
  make(tree, 6 * MIB)
  const { freeBytes } = read((ufs) => ufs.space())
  const error = await errorOf(() =>
    editUfs(path, (ufs) => ufs.writeFile('/big', Buffer.alloc(freeBytes + 1))),
  )
  // A file of that size has two indirect blocks of pointers, or three.
  const missing = Number(/: (\d+) bytes are missing/.exec(error.message)?.[1])
  assert.ok(missing > 0 && missing <= 6 * 4096, error.message)
  await edit((ufs) => ufs.writeFile('/big', Buffer.alloc(freeBytes - 8 * 4096, 1)))
  // Twice as large as what is left, but it frees what it has.
  await edit((ufs) => ufs.writeFile('/big', Buffer.alloc(freeBytes - 7 * 4096, 2)))
  await edit((ufs) => {
    for (let i = 0; ; i++) {
      try {
        ufs.writeFile(`/etc/${i}`, 'x')
      } catch (reason) {
        assert.match(
          (reason as Error).message,
          /Cannot write "\/etc\/\d+" in the image: 1024 bytes are missing/,
        )
        break
      }
    }
    assert.is(ufs.space().freeBytes, 0)
    assert.throws(() => ufs.mkdir('/none'), /1024 bytes are missing/)
    assert.throws(() => ufs.symlink('/none', 'x'), /1024 bytes are missing/)
    ufs.writeFile('/empty', '')
    ufs.remove('/etc/0')
    ufs.mkdir('/fits')
  })
})
full('say that an inode is missing', async () => {
  make([], 6 * MIB)
  await edit((ufs) => {
    const { freeInodes } = ufs.space()
    for (let i = 0; i < freeInodes; i++) ufs.writeFile(`/lost+found/${i}`, '')
    assert.throws(() => ufs.writeFile('/x', ''), /Cannot write "\/x" .* 1 inode is missing/)
    assert.throws(() => ufs.mkdir('/x'), /1 inode is missing/)
    ufs.remove('/lost+found/7')
    ufs.mkdir('/x')
  })
})
full.after(remove)
full.run()
