/**
 * Platforms that never were, laid out as SmartOS' of 2013 and 2014: an archive with what the edits look at,
 * and a kernel that says what it was given.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Random } from '../random.ts'
import { type TarEntry, writeTarball } from './platform-tarball.ts'
import { type Geometry, type Given, mkufs } from './ufs/mkufs.ts'

export const PASSWORD = 'clear-text-of-the-root-password'

export type Flavour = 2013 | 2014
export type MadeUp = {
  flavour: Flavour
  stamp: string
  /** Kernel file; a text where nothing is booted. */
  unix?: string
  geometry?: Partial<Geometry>
  /** More files, or others in the place of ours. */
  files?: readonly Given[]
  /** Changes to the finished archive. */
  damage?: (archive: Buffer) => void
  /** More files of the tarball, or others; undefined leaves one out. */
  tarball?: Record<string, string | Buffer | undefined>
  /** Name of the one directory. */
  directory?: string
}

const MIB = 1024 ** 2
const directory = (path: string): Given => ({ type: 'directory', path })
const file = (path: string, text: string, mode = 0o644): Given => ({
  type: 'file',
  path,
  content: Buffer.from(text),
  mode,
})

export const PINGING = '#!/sbin/sh\nfor server in $servers; do\n  ping $server 5 && found=1\ndone\n'

function rootFiles(flavour: Flavour, stamp: string): Given[] {
  const random = new Random(flavour)
  const paths = [
    ...['/boot', '/boot/solaris', '/etc', '/etc/ssh', '/etc/inet', '/etc/curl', '/etc/ssl'],
    ...['/etc/ssl/certs', '/etc/svc', '/etc/svc/profile', '/etc/ipf', '/kernel', '/kernel/drv'],
    ...['/kernel/drv/amd64', '/lib', '/lib/svc', '/lib/svc/manifest', '/lib/svc/manifest/site'],
    ...['/lib/svc/method', '/opt', '/root', '/sbin', '/smartdc', '/smartdc/lib', '/usr', '/var'],
  ]
  return [
    ...paths.map(directory),
    file('/etc/release', `                    SmartOS ${stamp} x86_64\n`),
    file('/etc/shadow', `root:$5$abc$${PASSWORD}hash:6445::::::\ndaemon:NP:6445::::::\n`, 0o400),
    file('/etc/ssh/sshd_config', 'Protocol 2\nPermitRootLogin yes\nPasswordAuthentication yes\n'),
    file('/etc/inet/ntp.conf', 'server 203.0.113.1\nserver 203.0.113.2\n'),
    file('/etc/profile', 'export PATH\n'),
    file('/etc/motd', 'SmartOS Live Image\n'),
    file(
      '/etc/driver_aliases',
      flavour === 2013 ? 'e1000g "pci8086,100e"\n' : 'e1000g "pci8086,100e"\nvioblk "pci1af4,2"\n',
    ),
    file('/lib/svc/method/ntp', flavour === 2013 ? PINGING : '#!/sbin/sh\nntpd -g\n', 0o555),
    file('/root/.bashrc', 'export PS1\n'),
    ...(flavour === 2014 ? [file('/kernel/drv/amd64/vioblk', 'driver', 0o755)] : []),
    { type: 'character device', path: '/var/console', device: 1 },
    { type: 'symlink', path: '/bin', target: 'usr/bin' },
    { type: 'file', path: '/usr.lgz', content: () => random.bytes(6 * MIB) },
    // As many files as make directories of more than a block.
    directory('/smartdc/many'),
    ...Array.from({ length: 400 }, (_, i) =>
      file(`/smartdc/many/file-number-${i}`, `${i}`.repeat(i)),
    ),
  ]
}

/** Write the platform's tarball. @returns the archive in it, before any edit */
export async function makePlatform(path: string, dir: string, made: MadeUp): Promise<Buffer> {
  const { flavour, stamp, unix, geometry, files = [], damage, tarball } = made
  const image = join(dir, `archive-${stamp}`)
  const own = new Set(files.map((one) => one.path))
  const all = [...rootFiles(flavour, stamp).filter((one) => !own.has(one.path)), ...files]
  mkufs(image, { bytes: 24 * MIB, ...geometry }, all)
  const archive = await readFile(image)
  damage?.(archive)
  const kernel = unix === undefined ? Buffer.from('ELF') : await readFile(unix)
  const top = made.directory ?? `platform-${stamp}`
  const contents: Record<string, string | Buffer | undefined> = {
    'root.password': `${PASSWORD}\n`,
    'i86pc/kernel/amd64/unix': Buffer.concat([kernel, Buffer.from(`\0joyent_${stamp}\0`)]),
    'i86pc/amd64/boot_archive': archive,
    'i86pc/amd64/boot_archive.hash': `${createHash('sha1').update(archive).digest('hex')}\n`,
    'i86pc/amd64/boot_archive.manifest': 'list\n',
    ...tarball,
  }
  const entries = Object.entries(contents).flatMap(([name, content]): TarEntry[] =>
    content === undefined ? [] : [{ name: `${top}/${name}`, content }],
  )
  await writeTarball(path, entries)
  return archive
}
