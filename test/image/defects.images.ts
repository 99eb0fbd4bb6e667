/** Images with planted defects fail `test-image`, each check by its name. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MIB, named, planted, type TestResult, zero } from '../defects.ts'
import {
  assertNothingLeft,
  leftovers,
  machineMirrors,
  needPackages,
  run,
  workDir,
} from '../live.ts'

needPackages({ debugfs: 'e2fsprogs', 'ssh-keygen': 'openssh-client', mkswap: 'util-linux' })

const { dir, remove } = await workDir()
const before = leftovers()
/** Where the root partition starts. */
const ROOT_OFFSET = 266240 * 512

const defects = suite('test-image, planted defects')
defects.after(remove)
defects('names each defect: one firmware only, old key, password, host name, swap', async () => {
  const built = await run('create-image-debian', [
    ...['12', '--output', join(dir, 'bits')],
    ...machineMirrors(),
  ])
  assert.is(built.status, 0)
  const manifest = built.stdout.trim()
  const raw = join(dir, 'disk.raw')
  const image = manifest.replace('.imgmanifest', '.zfs.gz')
  assert.is((await run('convert-image', [image, raw])).status, 0)
  const path = await planted({ dir, raw, manifest }, 'defects', async (disk) => {
    await zero(disk, 0, 440) // BIOS finds nothing to start
    const at = join(dir, 'planted')
    await mkdir(at)
    const file = (name: string) => join(at, name)
    const device = `${disk}?offset=${ROOT_OFFSET}`
    const debugfs = (...requests: string[]) => {
      const script = file('requests')
      execFileSync('sh', ['-c', 'printf "%s\\n" "$@" >"$0"', script, ...requests])
      execFileSync('debugfs', ['-w', '-f', script, device], { stdio: ['ignore', 'ignore', 'pipe'] })
    }
    debugfs(`dump /etc/shadow ${file('shadow')}`, `dump /etc/fstab ${file('fstab')}`)
    const shadow = await readFile(file('shadow'), 'utf8')
    assert.match(shadow, /^root:\*:/m)
    const hash = execFileSync('openssl', ['passwd', '-6', 'left-over'], { encoding: 'utf8' }).trim()
    await writeFile(
      file('shadow'),
      shadow.replace(/^root:\*:/m, () => `root:${hash}:`),
    )
    const fstab = await readFile(file('fstab'), 'utf8')
    await writeFile(file('fstab'), `${fstab}/swapfile none swap sw 0 0\n`)
    // Without holes, as the kernel wants it.
    await writeFile(file('swapfile'), Buffer.alloc(8 * MIB, 'swap'), { mode: 0o600 })
    execFileSync('mkswap', [file('swapfile')], { stdio: 'ignore' })
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file('key')])
    await writeFile(file('99.cfg'), 'preserve_hostname: true\nssh_deletekeys: false\n')
    await writeFile(file('hostname'), 'name-of-the-builder\n')
    debugfs(
      'rm /etc/shadow',
      `write ${file('shadow')} /etc/shadow`,
      'set_inode_field /etc/shadow mode 0100640',
      'rm /etc/fstab',
      `write ${file('fstab')} /etc/fstab`,
      `write ${file('swapfile')} /swapfile`,
      `write ${file('key')} /etc/ssh/ssh_host_ed25519_key`,
      `write ${file('key.pub')} /etc/ssh/ssh_host_ed25519_key.pub`,
      `write ${file('99.cfg')} /etc/cloud/cloud.cfg.d/99_planted.cfg`,
      `write ${file('hostname')} /etc/hostname`,
    )
  })
  // Devices are elsewhere here, which must not matter.
  const options = [path, '--json', '--hardware', 'bhyve']
  const { status, stdout } = await run('test-image', options)
  const result = JSON.parse(stdout) as TestResult
  assert.is(status, 1)
  const wrong = ['host-name', 'login-prompt', 'passwords', 'swap']
  // Where KVM works a second generation is tried as well, which prepare-image refuses to make.
  assert.equal(
    named(result, 'failed').filter((name) => !name.includes('second generation')),
    [
      'bios/first boot/boot-menu',
      ...[...wrong, 'host-keys'].map((name) => `uefi/first boot/${name}`),
      ...wrong.map((name) => `uefi/reboot/${name}`),
    ].sort(),
  )
  const evidence = (name: string) =>
    result.checks.find((one) => one.firmware === 'uefi' && one.name === name)!.evidence
  assert.match(evidence('host-keys'), /older than the boot: \/etc\/ssh\/ssh_host_ed25519_key$/)
  assert.match(evidence('passwords'), /root/)
  assert.match(evidence('host-name'), /name-of-the-builder/)
  assert.match(evidence('swap'), /\/swapfile/)
  const page = await readFile(result.reports.html, 'utf8')
  assert.match(page, /<title>debian-12 \d+: failed</)
  assertNothingLeft(before)
})
defects.run()
