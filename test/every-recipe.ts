/**
 * A release by its installer, from the command to the image, with a medium of that vendor's layout around
 * a tiny installer. That the vendors' own installers do as it does is not shown here.
 */
import * as assert from 'uvu/assert'
import { existsSync } from 'node:fs'
import { chmod, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { distros } from '../distros/all.ts'
import { needPackages, run } from './live.ts'
import { makeVendorMedium, vendorKit, type VendorMedium } from './vendor-media.ts'

/** How a release's medium names itself: label, and notes where it has any. */
const tree = (family: string, version: string) => ({
  '.treeinfo': `[general]\nfamily = ${family}\nversion = ${version}\narch = x86_64\n`,
})
const info = (text: string) => ({ '.disk/info': text })
export const MEDIA: Record<string, { label: string; notes?: VendorMedium['notes'] }> = {
  'rocky-8': { label: 'Rocky-8-10-x86_64-dvd', notes: tree('Rocky Linux', '8.10') },
  'rocky-9': { label: 'Rocky-9-6-x86_64-dvd' },
  'rocky-10': { label: 'Rocky-10-0-x86_64-dvd', notes: tree('Rocky Linux', '10.0') },
  'almalinux-8': { label: 'AlmaLinux-8-10-x86_64-dvd', notes: tree('AlmaLinux', '8') },
  'almalinux-9': { label: 'AlmaLinux-9-6-x86_64-dvd' },
  'almalinux-10': { label: 'AlmaLinux-10-0-x86_64-dvd' },
  'oraclelinux-8': { label: 'OL-8-10-0-BaseOS-x86_64', notes: tree('Oracle Linux', '8.10.0') },
  'oraclelinux-9': { label: 'OL-9-6-0-BaseOS-x86_64' },
  'oraclelinux-10': { label: 'OL-10-0-0-BaseOS-x86_64' },
  'centos-6': { label: 'CentOS' },
  'centos-7': { label: 'CentOS 7 x86_64' },
  'centos-8': { label: 'CentOS-8-5-2111-x86_64-dvd' },
  'centos-stream9': { label: 'CentOS-Stream-9-BaseOS-x86_64' },
  'centos-stream10': { label: 'CentOS-Stream-10-BaseOS-x86_64' },
  'ubuntu-20.04': {
    label: 'Ubuntu-Server 20.04.6 LTS amd64',
    notes: info('Ubuntu-Server 20.04.6 LTS "Focal Fossa" - Release amd64 (20230314)\n'),
  },
  'ubuntu-22.04': {
    label: 'Ubuntu-Server 22.04.5 LTS amd64',
    notes: info('Ubuntu-Server 22.04.5 LTS "Jammy Jellyfish" - Release amd64 (20240911)\n'),
  },
  'ubuntu-24.04': {
    label: 'Ubuntu-Server 24.04.3 LTS amd64',
    notes: info('Ubuntu-Server 24.04.3 LTS "Noble Numbat" - Release amd64 (20250805)\n'),
  },
}

export type Bench = { dir: string; kit: Awaited<ReturnType<typeof vendorKit>> }

/** What the tests of a file share. */
export async function recipeBench(dir: string): Promise<Bench> {
  needPackages({
    'qemu-system-x86_64': 'qemu-system-x86',
    'qemu-img': 'qemu-utils',
    cpio: 'cpio',
    sfdisk: 'fdisk',
    xorriso: 'xorriso',
    'libdeflate-gzip': 'libdeflate-tools',
  })
  await chmod(dir, 0o755) // apt downloads as a user of its own
  return { dir, kit: await vendorKit(dir) }
}

/** @returns the medium's path */
export async function mediumOf({ dir, kit }: Bench, name: string): Promise<string> {
  const iso = join(dir, `${name}.iso`)
  if (existsSync(iso)) return iso
  const { label, notes = {} } = MEDIA[name]!
  const { environment, installer } = distros.find((one) => name.startsWith(`${one.name}-`))!
  const [boot] = installer.boot
  await makeVendorMedium(
    kit,
    {
      label,
      notes,
      kernel: boot!.kernel.slice(1),
      initrd: boot!.initrd.slice(1),
      vendor: environment['EFI_VENDOR'] ?? 'none',
      installer:
        name === 'centos-6'
          ? 'anaconda6'
          : installer.ownAnswers === 'ks.cfg'
            ? 'anaconda'
            : 'subiquity',
    },
    iso,
  )
  return iso
}

/** Command line of a build from that medium. */
export const recipeWords = (
  { dir }: Bench,
  name: string,
  iso: string,
  layout = 'plain',
  output = join(dir, `bits-${name}`),
) => [
  ...[name.slice(name.indexOf('-') + 1), '--method', 'installer', '--layout', layout],
  ...['--iso', iso, '--output', output, '--cache', join(dir, 'cache')],
  ...['--size', '2G', '--memory', '512M', '--cpus', '1', '--accel', 'tcg'],
  // Of a stand-in for a system: its one source is CentOS', its disk may have no file system.
  ...['--allow-leftover', 'unread,sources'],
]

/** What every system's console has to show, whoever installs it. */
const COMMON = [
  /^JOYENT_STATUS_PRE=ok$/m,
  /^package: cloud-init$/m,
  /^stand-in: usermod --password \* root$/m,
  /^stand-in: fstrim \/$/m,
  /^JOYENT_STATUS_POST=ok$/m,
]
const ANACONDA_6 = [
  /^stand-in: dracut --force \/boot\/initramfs-/m,
  /^stand-in: chkconfig --add triton-network$/m,
  /^stand-in: chkconfig --add triton-guest$/m,
  /^menu: serial --unit=0 --speed=115200\nmenu: terminal .*\nmenu: timeout=5\n(?!menu)/m,
  /^repository: #mirrorlist=/m,
  /^repository: baseurl=http:\/\/vault\.centos\.org\/6\.10\/os\/\$basearch\/$/m,
]
const ANACONDA = [
  /^stand-in: systemctl enable triton-guest\.service$/m,
  /^stand-in: parted -s \/dev\/vda -- mklabel gpt mkpart biosboot/m,
  /^stand-in: mkfs\.vfat -n ESP \/dev\/vda2$/m,
  /^stand-in: dracut --force --regenerate-all$/m,
  /^stand-in: grub2-mkconfig --update-bls-cmdline -o \/boot\/grub2\/grub\.cfg$/m,
  /^stand-in: dnf -q clean all$/m,
]
const SUBIQUITY = [
  /^stand-in: systemctl enable triton-guest\.service$/m,
  /^stand-in: curtin in-target --target=\/target -- \/var\/tmp\/hybrid-images\/set-up$/m,
  /^stand-in: debconf-set-selections/m,
  /^stand-in: grub-install --target=i386-pc \/dev\/vda$/m,
  /^stand-in: grub-install --target=x86_64-efi --efi-directory=\/boot\/efi --no-nvram/m,
  /^stand-in: sfdisk .*--part-type \/dev\/vda 2 C12A7328/m,
  /^left in cloud-init: $/m,
  /^left of the logs: $/m,
  /^left in apt: $/m,
]

/** Build it, and look at what the console and the image say. */
export async function tryRecipe(bench: Bench, name: string, layout: string): Promise<void> {
  const iso = await mediumOf(bench, name)
  const output = join(bench.dir, `bits-${name}`)
  const [distro] = name.split('-')
  const words = recipeWords(bench, name, iso, layout)
  const { status, stdout } = await run(`create-image-${distro}`, words)
  assert.is(status, 0)
  const log = (await readFile(join(output, `${name}-qemu.log`), 'utf8')).replaceAll('\r', '')
  const own = name === 'centos-6' ? ANACONDA_6 : distro === 'ubuntu' ? SUBIQUITY : ANACONDA
  for (const step of [...COMMON, ...own]) assert.match(log, step)
  assert.is(/logvol \/ .*--name=rootlv|lvm_partition.*name: rootlv/m.test(log), layout === 'lvm')
  assert.not.match(log, /not found|No such file|syntax error/)
  assert.is((await run('inspect-image', [stdout.trim()])).status, 0)
  await rm(output, { recursive: true })
}
