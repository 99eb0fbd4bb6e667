/**
 * A whole installation by Debian's own installer, from the medium of its netboot installer and a mirror
 * of packages, and then test-image on what came of it.
 *
 * The mirror is this machine's own. One that lacks the installer's components (udebs) is no good for it:
 * $INSTALLER_MIRROR names another, as in http://127.0.0.1:3142, which has /debian and /debian-security.
 * The signatures of its components are not asked for, those of the packages are.
 */
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { assertNothingLeft, leftovers, machineMirrors, needPackages, run, workDir } from './live.ts'
import { makeMiniMedium } from './mini-installer.ts'

const RELEASE = { version: '13', codename: 'trixie' }
const IMAGES = `usr/lib/debian-installer/images/${RELEASE.version}/amd64/text/debian-installer/amd64`

/** What a mirror of unsigned components needs: the trust is taken back before packages are fetched. */
const UNSIGNED = `d-i debian-installer/allow_unauthenticated boolean true
d-i partman/early_command string debconf-set debian-installer/allow_unauthenticated false
`

/** The netboot installer's medium, made of kernel and initrd in Debian's package of them. */
async function makeMedium(dir: string, mirror: string): Promise<string> {
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
  const sources = join(dir, 'sources.list')
  await writeFile(sources, `deb [signed-by=${keyring}] ${mirror} ${RELEASE.codename} main\n`)
  for (const name of ['lists/partial', 'cache/archives/partial'])
    await mkdir(join(dir, name), { recursive: true })
  const words = Object.entries({
    'Dir::Etc::sourcelist': sources,
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::lists': join(dir, 'lists'),
    'Dir::Cache': join(dir, 'cache'),
  }).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  const apt = (...command: string[]) =>
    execFileSync('apt-get', [...words, ...command], { cwd: dir, stdio: ['ignore', 2, 2] })
  apt('update')
  apt('download', `debian-installer-${RELEASE.version}-netboot-amd64`)
  const [deb] = (await readdir(dir)).filter((name) => name.endsWith('.deb'))
  execFileSync('dpkg-deb', ['-x', deb!, 'netboot'], { cwd: dir })
  const iso = join(dir, 'mini.iso')
  const images = join(dir, 'netboot', IMAGES)
  await makeMiniMedium({ kernel: join(images, 'linux'), initrd: join(images, 'initrd.gz') }, iso)
  return iso
}

type Tested = { checks: { firmware: string; boot: string; name: string; status: string }[] }

/** Install, test, and say what it took. */
export async function installAndTest(layout: 'plain' | 'lvm'): Promise<void> {
  needPackages({
    xorriso: 'xorriso',
    [`/usr/share/keyrings/debian-archive-keyring.gpg`]: 'debian-archive-keyring',
  })
  const { dir, remove } = await workDir()
  const before = leftovers()
  try {
    await chmod(dir, 0o755) // apt downloads as a user of its own
    const given = process.env['INSTALLER_MIRROR']
    const mirrors = given
      ? ['--mirror', `${given}/debian`, '--security-mirror', `${given}/debian-security`]
      : machineMirrors()
    const iso = await makeMedium(dir, mirrors[1]!)
    const answers = join(dir, 'unsigned.cfg')
    await writeFile(answers, UNSIGNED)
    const installed = await run('create-image-debian', [
      ...[RELEASE.version, '--method', 'installer', '--layout', layout, '--iso', iso],
      ...[...mirrors, ...(given ? ['--answers', answers] : [])],
      ...['--output', join(dir, 'bits')],
    ])
    assert.is(installed.status, 0)
    const manifest = installed.stdout.trim()
    const { status, stdout, seconds } = await run('test-image', [manifest, '--json'])
    const { checks } = JSON.parse(stdout) as Tested
    const bad = checks.filter((check) => check.status !== 'ok')
    assert.equal(
      bad.map((check) => `${check.firmware}/${check.boot}/${check.name}: ${check.status}`),
      [],
    )
    assert.is(status, 0)
    assertNothingLeft(before)
    const version = (await readFile('/proc/version', 'utf8')).split(' ')[2]
    const [qemu] = execFileSync('qemu-system-x86_64', ['--version'], { encoding: 'utf8' }).split(
      '\n',
    )
    console.error(
      `Debian ${RELEASE.version}, ${layout}: installed in ${Math.round(installed.seconds)} s, ` +
        `${checks.length} checks in ${Math.round(seconds)} s; ${qemu}, host kernel ${version}`,
    )
  } finally {
    await remove()
  }
}
