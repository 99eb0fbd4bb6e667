import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { editUfs, type Ufs } from '../../../platform/ufs/edit.ts'
import { fsck } from '../../../platform/ufs/fsck.ts'
import { Random } from '../../random.ts'
import { errorOf } from '../../temporary.ts'
import { NOW, someBytes } from './model.ts'
import { dir, edit, make, MIB, path, read, remove, tree } from './one-image.ts'

const editing = suite('editUfs()')
editing('writes every size, and takes all space back', async () => {
  make(tree, 24 * MIB)
  const before = read((ufs) => ufs.space())
  const random = new Random(5)
  for (const size of [
    0,
    1,
    1024,
    1025,
    4096,
    49152,
    49153,
    1036 * 4096,
    1036 * 4096 + 1,
    2 * MIB,
  ]) {
    const content = someBytes(random, size)
    await edit((ufs) => ufs.writeFile('/etc/new', content))
    read((ufs) => assert.ok(ufs.readFile('/etc/new').equals(content), `${size}`))
  }
  await edit((ufs) => ufs.remove('/etc/new'))
  assert.equal(
    read((ufs) => ufs.space()),
    before,
  )
})
editing('a new file belongs to root; one that is replaced keeps what it had', async () => {
  make(tree)
  await edit((ufs) => {
    ufs.writeFile('/etc/motd', 'hello\n')
    ufs.writeFile('/etc/shadow', 'root:NP:\n')
    ufs.writeFile('/etc/inet/ntp.conf', '', {
      mode: 0o640,
      uid: 70000,
      gid: 65535,
      mtimeSeconds: 9,
    })
  })
  read((ufs) => {
    const of = (file: string) => {
      const { mode, uid, gid, mtimeSeconds, bytes } = ufs.stat(file)
      return [mode, uid, gid, mtimeSeconds, bytes]
    }
    assert.equal(of('/etc/motd'), [0o644, 0, 0, NOW, 6])
    assert.equal(of('/etc/shadow'), [0o400, 4, 5, NOW, 9])
    assert.equal(of('/etc/inet/ntp.conf'), [0o640, 70000, 65535, 9, 0])
  })
})
editing('takes content from a file', async () => {
  make(tree)
  const content = someBytes(new Random(1), 3 * MIB + 17)
  writeFileSync(join(dir, 'content'), content)
  await edit((ufs) => ufs.writeFile('/usr.lgz', { file: join(dir, 'content') }))
  read((ufs) => assert.ok(ufs.readFile('/usr.lgz').equals(content)))
})
editing('other names of a replaced file keep what they had', async () => {
  make(tree)
  await edit((ufs) => ufs.writeFile('/usr/bin/sh', 'new'))
  read((ufs) => {
    assert.is(ufs.readFile('/usr/bin/ksh').toString(), '#!')
    assert.is(ufs.readFile('/usr/bin/sh').toString(), 'new')
    assert.equal([ufs.stat('/usr/bin/sh').links, ufs.stat('/usr/bin/ksh').links], [1, 1])
    assert.is(ufs.stat('/usr/bin/sh').mode, 0o4755)
  })
  make(tree)
  await edit((ufs) => ufs.remove('/usr/bin/sh'))
  read((ufs) => assert.is(ufs.readFile('/usr/bin/ksh').toString(), '#!'))
})
editing('makes links short and long, whose fragments end in zeros', async () => {
  make(tree)
  await edit((ufs) => {
    for (const length of [1, 55, 60, 61, 1022, 1023]) ufs.symlink(`/l${length}`, 'a'.repeat(length))
  })
  read((ufs) => {
    assert.is(ufs.readLink('/l1'), 'a')
    assert.is(ufs.readLink('/l1023'), 'a'.repeat(1023))
  })
})
editing('directories grow beyond direct blocks, and lose entries again', async () => {
  make([], 8 * MIB)
  const names = Array.from({ length: 300 }, (_, i) => `${i}`.padStart(200, 'n'))
  await edit((ufs) => {
    ufs.mkdir('/d')
    for (const name of names) ufs.mkdir(`/d/${name}`)
  })
  read((ufs) => {
    assert.ok(ufs.stat('/d').bytes > 12 * 4096)
    assert.is(ufs.stat('/d').links, 302)
    assert.equal(
      ufs.list('/d').map(({ name }) => name),
      [...names].sort(),
    )
  })
  await edit((ufs) => names.forEach((name, i) => i % 3 && ufs.removeTree(`/d/${name}`)))
  read((ufs) => assert.is(ufs.list('/d').length, 100))
  await edit((ufs) => ufs.removeTree('/d'))
  read((ufs) => assert.not.ok(ufs.exists('/d')))
})
editing(
  'a removed entry goes to the one before it, the first of a chunk becomes free',
  async () => {
    make([{ type: 'directory', path: '/d' }])
    await edit((ufs) => {
      // Three of them, with . and .., fill the first chunk.
      for (const name of ['a', 'b', 'c', 'd', 'e']) ufs.mkdir(`/d/${name.repeat(150)}`)
      for (const name of ['b', 'c', 'd']) ufs.removeTree(`/d/${name.repeat(150)}`)
    })
    const image = readFileSync(path)
    const chunk = image.indexOf(`${'a'.repeat(150)}\0`) - 8 - 24
    const [first, second] = [image.subarray(chunk, chunk + 512), image.subarray(chunk + 512)]
    assert.is(first.readUInt16LE(24 + 4), 512 - 24)
    assert.is(second.readUInt32LE(0), 0)
    assert.is(second.readUInt16LE(4), 160)
  },
)
editing('an inode that is used again has another generation', async () => {
  make(tree)
  const { inode } = read((ufs) => ufs.stat('/etc/shadow'))
  const generation = () => readFileSync(path).readInt32LE(28 * 1024 + inode * 128 + 108)
  const before = generation()
  await edit((ufs) => {
    ufs.remove('/etc/shadow')
    for (let i = 0; ufs.list('/etc').every((file) => file.inode !== inode); i++) {
      ufs.writeFile(`/etc/${i}`, '')
    }
  })
  assert.is(generation(), before + 1)
})
editing('removes trees with links, devices, and names of one file inside and outside', async () => {
  make([...tree, { type: 'link', path: '/dev/sh', to: '/usr/bin/sh' }])
  await edit((ufs) => {
    ufs.removeTree('/dev')
    ufs.removeTree('/bin')
    ufs.removeTree('/etc')
  })
  read((ufs) => {
    assert.is(ufs.stat('/usr/bin/sh').links, 2)
    assert.equal(
      ufs.list('/').map(({ name }) => name),
      ['absolute', 'lost+found', 'round', 'usr'],
    )
  })
})
editing('keeps devices and fifos, and changes their mode and owner', async () => {
  make(tree)
  await edit((ufs) => {
    ufs.chmod('/dev/console', 0o666)
    ufs.chown('/dev/console', 1, 2)
    ufs.chown('/bin', 3, 4)
    ufs.setTime('/dev/initpipe', 77)
  })
  read((ufs) => {
    const { type, mode, uid, gid, device } = ufs.stat('/dev/console')
    assert.equal([type, mode, uid, gid, device], ['character device', 0o666, 1, 2, 0x1234])
    assert.is(ufs.stat('/bin').uid, 3)
    assert.is(ufs.stat('/dev/initpipe').mtimeSeconds, 77)
  })
})
editing('the same edits at the same time give the same bytes', async () => {
  const images = []
  for (let i = 0; i < 2; i++) {
    make(tree)
    await edit((ufs) => {
      ufs.mkdir('/opt/')
      ufs.writeFile('/opt/x', 'x'.repeat(100_000))
      ufs.removeTree('/etc')
    })
    images.push(readFileSync(path))
  }
  assert.ok(images[0]!.equals(images[1]!))
})
editing('writes into another file where told, and leaves the original alone', async () => {
  make(tree)
  const before = readFileSync(path)
  const to = join(dir, 'edited')
  writeFileSync(`${to}.partial`, 'left by a command that was killed')
  const result = await editUfs(path, (ufs) => (ufs.writeFile('/x', 'y'), ufs.stat('/x').bytes), {
    to,
  })
  assert.is(result, 1)
  assert.ok(readFileSync(path).equals(before))
  assert.equal(fsck(to), [])
  assert.equal(
    readdirSync(dir).filter((file) => file.startsWith('edited')),
    ['edited'],
  )
})
editing('an error of the caller passes through, and nothing is left of the edits', async () => {
  make(tree)
  const before = readFileSync(path)
  const bug = new TypeError('a bug')
  for (const work of [
    (ufs: Ufs) => {
      ufs.removeTree('/etc')
      throw bug
    },
    async (ufs: Ufs) => {
      ufs.removeTree('/etc')
      await Promise.reject(bug)
    },
  ]) {
    assert.is(await errorOf(() => editUfs<void>(path, work)), bug)
    assert.ok(readFileSync(path).equals(before))
    assert.not.ok(readdirSync(dir).includes('boot_archive.partial'))
  }
})
editing('500 files take well under a second', async () => {
  make([], 40 * MIB)
  await editUfs(path, (ufs) => {
    const began = Date.now()
    ufs.mkdir('/new')
    for (let i = 0; i < 500; i++) ufs.writeFile(`/new/file${i}`, Buffer.alloc(i * 20, i))
    assert.ok(Date.now() - began < 2000, `${Date.now() - began} ms`) // CI machines are slow
  })
})
editing.after(remove)
editing.run()
