import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BuildError } from '../../../lib/cli/errors.ts'
import { editUfs, openUfs, type Ufs } from '../../../platform/ufs/edit.ts'
import { fsck } from '../../../platform/ufs/fsck.ts'
import type { UfsReader } from '../../../platform/ufs/reader.ts'
import { Random } from '../../random.ts'
import { errorOf } from '../../temporary.ts'
import { type Given, mkufs } from './mkufs.ts'
import { imageDir, NOW, someBytes } from './model.ts'

const { dir, remove } = imageDir()
const path = join(dir, 'boot_archive')
const MIB = 1024 ** 2

/** An image of the usual geometry with these files. */
const make = (given: Given[], bytes = 6 * MIB) => mkufs(path, { bytes, nowSeconds: 1000 }, given)
const text = (content: string) => Buffer.from(content)

/** Edit the image, which has to be good afterwards. */
async function edit<T>(work: (ufs: Ufs) => T): Promise<T> {
  const result = await editUfs(path, work, { nowSeconds: NOW })
  assert.equal(fsck(path), [])
  return result
}

function read<T>(work: (ufs: UfsReader) => T): T {
  const ufs = openUfs(path)
  try {
    return work(ufs)
  } finally {
    ufs.close()
  }
}

const tree: Given[] = [
  { type: 'directory', path: '/etc', mode: 0o755, uid: 0, gid: 3 },
  { type: 'file', path: '/etc/shadow', content: text('root:x:\n'), mode: 0o400, uid: 4, gid: 5 },
  { type: 'file', path: '/etc/inet/ntp.conf', content: text('server a\n'), mtimeSeconds: 500 },
  { type: 'symlink', path: '/etc/ntp.conf', target: './inet/ntp.conf' },
  { type: 'symlink', path: '/bin', target: './usr/bin' },
  { type: 'symlink', path: '/absolute', target: '/usr/bin' },
  { type: 'symlink', path: '/round', target: 'round' },
  { type: 'file', path: '/usr/bin/sh', content: text('#!'), mode: 0o4755 },
  { type: 'link', path: '/usr/bin/ksh', to: '/usr/bin/sh' },
  { type: 'character device', path: '/dev/console', device: 0x1234, mode: 0o620 },
  { type: 'block device', path: '/dev/disk', device: 7 },
  { type: 'fifo', path: '/dev/initpipe', mode: 0o600 },
]

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
reading.run()

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
editing.run()

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
