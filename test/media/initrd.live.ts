/** An initrd with answers in it: the kernel unpacks both archives, and the installer finds them. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, mkdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { addToInitrd, type InitrdFile } from '../../lib/media/initrd.ts'
import { needPackages, workDir } from '../live.ts'
import { makeMiniInstaller } from '../mini-installer.ts'

needPackages({
  cpio: 'cpio',
  'qemu-system-x86_64': 'qemu-system-x86',
  '/usr/share/seabios/bios-256k.bin': 'seabios',
})

const { dir, remove } = await workDir()
await chmod(dir, 0o755) // apt downloads as a user of its own
const installer = await makeMiniInstaller(dir)
const files: InitrdFile[] = [
  { to: 'preseed.cfg', from: { text: 'answers\n' }, mode: 0o644 },
  {
    to: 'hybrid-images/say',
    from: { text: '#!/bin/sh\necho "said by the answers: $(sed s/an/AN/ /preseed.cfg)"\n' },
    mode: 0o755,
  },
  {
    to: 'hybrid-images/a folder/busybox',
    from: { path: join(dir, 'packages/bin/busybox') },
    mode: 0o755,
  },
]
const output = join(dir, 'with-answers.gz')
/** A fresh directory for what lies between. */
const work = async (name: string) => {
  await mkdir(join(dir, name))
  return join(dir, name)
}

const adding = suite('addToInitrd()')
adding('leaves the vendor’s archive as it is, and adds one', async () => {
  await addToInitrd(installer.initrd, files, output, await work('first'), 1_700_000_000)
  const [vendors, ours] = [await readFile(installer.initrd), await readFile(output)]
  assert.ok(ours.subarray(0, vendors.length).equals(vendors))
  const listed = execFileSync('cpio', ['-tv', '--quiet'], {
    input: gunzipSync(ours.subarray(vendors.length)),
    encoding: 'utf8',
  })
  assert.match(listed, /^-rwxr-xr-x +1 root +root .* hybrid-images\/say$/m)
  assert.match(listed, /^-rw-r--r-- +1 root +root .* preseed\.cfg$/m)
  assert.match(listed, /^drwx.* hybrid-images\/a folder$/m)
  const [, size] = /root +root +(\d+) .* hybrid-images\/a folder\/busybox$/m.exec(listed)!
  assert.is(Number(size), (await stat(join(dir, 'packages/bin/busybox'))).size)
})
adding('is understood by the kernel', () => {
  // The tiny installer's own init is replaced by one that runs what was added.
  const words = [
    ...['20', 'qemu-system-x86_64', '-accel', 'tcg', '-m', '256M', '-nodefaults', '-no-reboot'],
    ...['-display', 'none', '-serial', 'stdio', '-kernel', installer.kernel, '-initrd', output],
    ...['-append', 'console=ttyS0 panic=-1 rdinit=/hybrid-images/say'],
  ]
  const { stdout } = spawnSync('timeout', words, { encoding: 'utf8' })
  assert.match(stdout, /said by the answers: ANswers/)
})
adding('is the same for the same answers', async () => {
  const digest = async (path: string) =>
    createHash('sha256')
      .update(await readFile(path))
      .digest('hex')
  await new Promise((done) => setTimeout(done, 1100))
  const again = join(dir, 'again.gz')
  await addToInitrd(installer.initrd, files, again, await work('second'), 1_700_000_000)
  assert.is(await digest(again), await digest(output))
})
adding('says which initrd can not be read', async () => {
  const failed = await addToInitrd(
    join(dir, 'none.gz'),
    files,
    output,
    await work('third'),
    1_700_000_000,
  ).then(
    () => '',
    (error: Error) => error.message,
  )
  assert.match(failed, /^Cannot add answers to ".*none\.gz": no such file/)
})
adding.after(remove)
adding.run()
