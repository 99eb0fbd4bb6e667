/**
 * Every release of the Enterprise Linux family, from the command to the image, with a medium of that
 * vendor's layout around a tiny installer. That the vendors' own installers do as it does is not shown here.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { chmod, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { distros } from '../../distros/all.ts'
import { assertNothingLeft, leftovers, needPackages, run, workDir } from '../live.ts'
import { makeVendorMedium, vendorKit } from '../vendor-media.ts'

needPackages({
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  cpio: 'cpio',
  xorriso: 'xorriso',
  'libdeflate-gzip': 'libdeflate-tools',
})

const { dir, remove } = await workDir()
await chmod(dir, 0o755) // apt downloads as a user of its own
const kit = await vendorKit(dir)
const before = leftovers()

/** How a release's boot medium names itself: label, and a .treeinfo where it has one. */
const MEDIA: Record<string, { label: string; tree?: [family: string, version: string] }> = {
  'rocky-8': { label: 'Rocky-8-10-x86_64-dvd', tree: ['Rocky Linux', '8.10'] },
  'rocky-9': { label: 'Rocky-9-6-x86_64-dvd' },
  'rocky-10': { label: 'Rocky-10-0-x86_64-dvd', tree: ['Rocky Linux', '10.0'] },
  'almalinux-8': { label: 'AlmaLinux-8-10-x86_64-dvd', tree: ['AlmaLinux', '8'] },
  'almalinux-9': { label: 'AlmaLinux-9-6-x86_64-dvd' },
  'almalinux-10': { label: 'AlmaLinux-10-0-x86_64-dvd' },
  'oraclelinux-8': { label: 'OL-8-10-0-BaseOS-x86_64', tree: ['Oracle Linux', '8.10.0'] },
  'oraclelinux-9': { label: 'OL-9-6-0-BaseOS-x86_64' },
  'oraclelinux-10': { label: 'OL-10-0-0-BaseOS-x86_64' },
  'centos-7': { label: 'CentOS 7 x86_64' },
  'centos-8': { label: 'CentOS-8-5-2111-x86_64-dvd' },
  'centos-stream9': { label: 'CentOS-Stream-9-BaseOS-x86_64' },
  'centos-stream10': { label: 'CentOS-Stream-10-BaseOS-x86_64' },
}

async function medium(name: string): Promise<string> {
  const iso = join(dir, `${name}.iso`)
  const { label, tree } = MEDIA[name]!
  const { environment } = distros.find((distro) => name.startsWith(`${distro.name}-`))!
  await makeVendorMedium(
    kit,
    {
      label,
      notes: tree
        ? { '.treeinfo': `[general]\nfamily = ${tree[0]}\nversion = ${tree[1]}\narch = x86_64\n` }
        : {},
      kernel: 'images/pxeboot/vmlinuz',
      initrd: 'images/pxeboot/initrd.img',
      vendor: environment['EFI_VENDOR']!,
    },
    iso,
  )
  return iso
}
const options = (iso: string, output: string) => [
  ...['--iso', iso, '--output', output, '--cache', join(dir, 'cache')],
  ...['--size', '2G', '--memory', '512M', '--cpus', '1', '--accel', 'tcg'],
]

const whole = suite('create-image-<distro>, Enterprise Linux')
whole('has a medium here for each release', () => {
  const all = distros
    .filter(({ installer }) => installer.ownAnswers === 'ks.cfg')
    .flatMap(({ name, releases }) => releases.map(({ version }) => `${name}-${version}`))
  assert.equal(Object.keys(MEDIA).sort(), all.sort())
})
// One of each kind: with and without notes, a label with blanks, LVM, another folder for UEFI.
for (const [name, layout] of [
  ['rocky-9', 'plain'],
  ['oraclelinux-8', 'lvm'],
  ['centos-7', 'plain'],
] as const) {
  whole(
    `${name}, ${layout}: the installer finds its answers, the set-up runs to its end`,
    async () => {
      const [distro, version] = name.split('-') as [string, string]
      const output = join(dir, `bits-${name}`)
      const iso = await medium(name)
      const { status, stdout } = await run(`create-image-${distro}`, [
        ...[version, '--layout', layout, ...options(iso, output)],
      ])
      assert.is(status, 0)
      const log = (await readFile(join(output, `${name}-qemu.log`), 'utf8')).replaceAll('\r', '')
      assert.match(log, /^stand-in: parted -s \/dev\/vda -- mklabel gpt mkpart biosboot/m)
      assert.match(log, /^package: cloud-init$/m)
      assert.is(/^logvol \/ .*--name=rootlv/m.test(log), layout === 'lvm')
      for (const step of [
        /^JOYENT_STATUS_PRE=ok$/m,
        /^stand-in: mkfs\.vfat -n ESP \/dev\/vda2$/m,
        /^stand-in: usermod --password \* root$/m,
        /^stand-in: systemctl enable triton-guest\.service$/m,
        /^stand-in: dracut --force --regenerate-all$/m,
        /^stand-in: grub2-mkconfig --update-bls-cmdline -o \/boot\/grub2\/grub\.cfg$/m,
        /^stand-in: dnf -q clean all$/m,
        /^stand-in: fstrim \/$/m,
        /^JOYENT_STATUS_POST=ok$/m,
      ]) {
        assert.match(log, step)
      }
      assert.not.match(log, /not found|No such file|syntax error/)
      assert.is((await run('inspect-image', [stdout.trim()])).status, 0)
      await rm(output, { recursive: true })
      assertNothingLeft(before)
    },
  )
}
whole('refuses the medium of another release or distro before it is booted', async () => {
  const nine = join(dir, 'rocky-9.iso')
  const eight = join(dir, 'oraclelinux-8.iso')
  for (const [command, version, iso, says] of [
    ['rocky', '10', nine, 'Rocky-9-6-x86_64-dvd'],
    ['almalinux', '9', nine, 'Rocky-9-6-x86_64-dvd'],
    ['rocky', '8', eight, 'Oracle Linux 8.10.0 x86_64'],
  ] as const) {
    const output = join(dir, 'bits-refused')
    const { status, stderr } = await run(`create-image-${command}`, [
      ...[version, ...options(iso, output)],
    ])
    assert.is(status, 1)
    assert.ok(stderr.includes(`it says "${says}"`), stderr)
    assert.not.match(stderr, /^Install/m)
  }
  assertNothingLeft(before)
})
whole.after(remove)
whole.run()
