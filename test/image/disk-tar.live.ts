/** Disks to root tars: a file system with all that files can have, on a partition, a volume, and a bare disk. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { mkfsRootEnv, mkfsRootWords, partitionDisk } from '../../lib/disk/assemble.ts'
import { type LayoutName, makeLayout } from '../../lib/disk/layout.ts'
import { needPackages, run, start, workDir } from '../live.ts'

needPackages({
  'qemu-img': 'qemu-utils',
  'mkfs.ext4': 'e2fsprogs',
  'mkfs.xfs': 'xfsprogs',
  setfacl: 'acl',
  setfattr: 'attr',
  setcap: 'libcap2-bin',
})

const MIB = 1024 ** 2
const BYTES = 2048 * MIB
const { dir, remove } = await workDir()
const at = (name: string) => join(dir, name)
process.env['TMPDIR'] = at('tmp')
await mkdir(at('tmp'))
const sh = (words: string, cwd = dir) =>
  execFileSync('bash', ['-ec', words], { cwd, encoding: 'utf8' })
/** Nothing of ours is left, and nothing is mounted. */
async function nothingLeft() {
  assert.equal(await readdir(at('tmp')), [])
  assert.not.match(await readFile('/proc/self/mounts', 'utf8'), /hybrid-live-/)
}

async function makeTree(): Promise<void> {
  await mkdir(at('tree/sub/dev'), { recursive: true })
  sh(
    `echo a >file; chown 1234:4321 file; setfacl -m u:33:rw,g:1000:r file; setfattr -n user.note -v kept file
     ln file hard; ln -s file soft; chmod 2751 sub; cp /bin/true sub/true; setcap cap_net_raw+ep sub/true
     head -c 3000000 /dev/urandom >random; truncate -s 100M sparse; mkdir dev; mknod dev/null c 1 3; touch -d @86400 file`,
    at('tree'),
  )
}
async function makeDisk(name: string, layoutName: LayoutName): Promise<void> {
  const layout = makeLayout(layoutName, BYTES, name)
  const times = { epoch: 86400 }
  await writeFile(at(name), '')
  await truncate(at(name), BYTES)
  await partitionDisk(at(name), layout, times)
  const [program, ...words] = mkfsRootWords(at(name), layout, at('tree'))
  execFileSync(program!, words, { env: { ...process.env, ...mkfsRootEnv(times) } })
}
/** All that a tree is, a line each: kinds, modes, owners, links, ACLs, attributes, contents. */
const listing = (tree: string) =>
  sh(
    `find . -mindepth 1 ! -path './dev/*' -printf '%p %y %m %U:%G %n %l\\n' | sort
     find . -type f ! -path './dev/*' -exec sha256sum {} + | sort
     find . ! -type l ! -path './dev/*' | sort | xargs getfacl -np; find . ! -type l ! -path './dev/*' | sort | xargs getfattr -d -m '^(user|security.capability)'`,
    at(tree),
  )

const tars = suite('convert-image, to a root tar')
tars.before(async () => {
  try {
    await makeTree()
    await makeDisk('plain.raw', 'plain')
    await makeDisk('lvm.raw', 'lvm')
    sh('truncate -s 200M bare.raw; mkfs.ext4 -q -d tree bare.raw')
    sh('qemu-img convert -c -O qcow2 plain.raw plain.qcow2')
  } catch (error) {
    console.error(error) // uvu goes on to after() and forgets it
    throw error
  }
})
for (const name of ['plain.raw', 'lvm.raw', 'bare.raw', 'plain.qcow2']) {
  tars(`${name}: owners, modes, links, ACLs, attributes, contents; no devices`, async () => {
    const { status, stdout, stderr } = await run('convert-image', [
      at(name),
      at('x.tar.gz'),
      '--json',
    ])
    assert.is(status, 0, stderr)
    const { sha256, from, to } = JSON.parse(stdout) as Record<string, string>
    assert.is(sha256, sh('sha256sum x.tar.gz').split(' ')[0])
    assert.is(`${from} ${to}`, `${name.split('.')[1]} tgz`)
    await rm(at('out'), { recursive: true, force: true })
    await mkdir(at('out'))
    sh("tar -C out --acls --xattrs --xattrs-include='*' --numeric-owner -xpf x.tar.gz")
    await chmod(at('out'), 0o755)
    assert.is(listing('out'), listing('tree'))
    assert.equal(await readdir(at('out/dev')), [])
    assert.not((await readdir(at('out'))).includes('lost+found'))
    await nothingLeft()
  })
}
tars('the same disk gives the same bytes', async () => {
  for (const name of ['a.tar.gz', 'b.tar.gz']) {
    assert.is((await run('convert-image', [at('plain.raw'), at(name)])).status, 0)
  }
  sh('cmp a.tar.gz b.tar.gz')
})
tars('a journal is played back in a copy: the disk stays as it is', async () => {
  const { root } = makeLayout('plain', BYTES, 'plain.raw')
  // As of a machine that was switched off.
  sh(`cp --sparse=always plain.raw journal.raw; echo inside >inside
      debugfs -w -R 'write inside /sub/inside' 'journal.raw?offset=${root.offset}'
      debugfs -w -R 'feature +needs_recovery' 'journal.raw?offset=${root.offset}'; chmod 444 journal.raw`)
  const digest = () => sh('sha256sum journal.raw')
  const before = digest()
  const { status, stderr } = await run('convert-image', [at('journal.raw'), at('j.tar.gz')])
  assert.is(status, 0, stderr)
  assert.is(digest(), before)
  assert.is(sh('tar -xOf j.tar.gz ./sub/inside'), 'inside\n')
  await nothingLeft()
})
tars('says so of a disk without files, of XFS, and of a root tar', async () => {
  sh('truncate -s 400M xfs.raw empty.raw; mkfs.xfs -q xfs.raw')
  for (const [name, expected] of [
    [
      'empty.raw',
      /^Error: Cannot find a root file system in ".*empty\.raw": none of its 1 partitions/m,
    ],
    ['xfs.raw', /^Error: Cannot take files out of ".*xfs\.raw": its root file system is XFS$/m],
    ['a.tar.gz', /^Error: Cannot convert ".*a\.tar\.gz": it is tgz already$/m],
  ] as const) {
    const { status, stderr } = await run('convert-image', [at(name), at('y.tar.gz')])
    assert.is(status, 1, name)
    assert.match(stderr, expected)
    assert.not((await readdir(dir)).some((file) => file.startsWith('y.')))
    await nothingLeft()
  }
})
tars('an interruption leaves nothing', async () => {
  const { child, outcome, shows } = start('convert-image', [at('plain.raw'), at('y.tar.gz')])
  await shows(/Convert the image/)
  setTimeout(() => child.kill('SIGINT'), 300)
  assert.is((await outcome).status, 130)
  assert.not((await readdir(dir)).some((file) => file.startsWith('y.')))
  await nothingLeft()
})
tars.after(async () => {
  await remove()
})
tars.run()
