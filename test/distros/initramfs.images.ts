/**
 * initramfs.sh is faster than update-initramfs alone, and makes the same bytes: in a small system of each Debian
 * release, with what adds most to an initramfs.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { copyFile, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { debian } from '../../distros/debian.ts'
import { machineMirrors, needPackages, root, workDir } from '../live.ts'

needPackages({ mmdebstrap: 'mmdebstrap' })
const { dir, remove } = await workDir()
const [, mirror] = machineMirrors()
const SCRIPT = join(root, 'distros/debian/initramfs.sh')

/** Make one; @returns its bytes, and the seconds that it took */
async function initramfs(system: string, words: string) {
  const boot = join(system, 'boot')
  for (const name of await readdir(boot)) {
    if (name.startsWith('initrd')) await rm(join(boot, name))
  }
  const started = Date.now()
  const mounted =
    'mount -t proc proc "$1/proc"; mount --bind /dev "$1/dev"; exec chroot "$1" sh -ec'
  execFileSync('unshare', ['--mount', 'sh', '-ec', `${mounted} "$2"`, 'sh', system, words], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, SOURCE_DATE_EPOCH: '1700000000', TMPDIR: '' },
  })
  const seconds = (Date.now() - started) / 1000
  const [name] = (await readdir(boot)).filter((one) => one.startsWith('initrd'))
  return { bytes: await readFile(join(boot, name!)), seconds }
}

const same = suite('initramfs.sh')
same.after(remove)
for (const { codename } of debian.releases) {
  same(`${codename}: the bytes of update-initramfs`, async () => {
    const system = join(dir, codename)
    const packages = 'linux-image-amd64,initramfs-tools,zstd,lvm2,cryptsetup-initramfs,busybox'
    execFileSync(
      'mmdebstrap',
      [
        '--quiet',
        '--variant=apt',
        `--include=${packages}`,
        codename,
        system,
        ...(mirror ? [mirror] : []),
      ],
      { env: { ...process.env, INITRD: 'No' }, stdio: ['ignore', 'inherit', 'inherit'] },
    )
    await copyFile(SCRIPT, join(system, 'initramfs.sh'))
    const theirs = await initramfs(system, 'update-initramfs -c -k all')
    const ours = await initramfs(system, 'sh /initramfs.sh')
    console.error(`${codename}: ${theirs.seconds} s, ours ${ours.seconds} s`)
    assert.ok(ours.bytes.length > 10_000_000)
    assert.ok(ours.bytes.equals(theirs.bytes), `${ours.bytes.length}, ${theirs.bytes.length} bytes`)
    const left = execFileSync('find', [join(system, 'etc'), '-name', '*hybrid-images*'])
    assert.is(String(left), '')
    await rm(system, { recursive: true })
  })
}
same.run()
