import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { globby } from 'globby'
import type { Retro } from '../../platform/edits.ts'
import { applyEdits, driversOf, withSshOptions } from '../../platform/retro.ts'
import { editUfsInPlace, type Ufs } from '../../platform/ufs/edit.ts'
import { fsck } from '../../platform/ufs/fsck.ts'
import { bootProperty, syslinuxConfig, type UsbKey } from '../../platform/usb-key.ts'
import { refusal } from '../refusal.ts'
import { inTemporaryDir } from '../temporary.ts'
import { makePlatform, type MadeUp } from './made-up.ts'

const STAMP = '20130506T233003Z'
const files = fileURLToPath(new URL('../../platform/files/', import.meta.url))
const retro: Retro = { stamp: STAMP, version: '1.2.3', network: undefined, certificates: 'CA\n' }

/** The archive of a made-up platform, opened to be edited; no fault may be left. */
const withArchive = (made: Partial<MadeUp>, use: (ufs: Ufs) => void) =>
  inTemporaryDir(async (dir) => {
    await makePlatform(join(dir, 'p.tgz'), dir, { flavour: 2013, stamp: STAMP, ...made })
    const archive = join(dir, `archive-${STAMP}`)
    await editUfsInPlace(archive, use)
    assert.equal(fsck(archive), [])
  })

const edits = suite('applyEdits()')
edits('puts every file of ours, programs to be run and others to be read', async () => {
  const paths = await globby('**', { cwd: files, dot: true })
  assert.ok(paths.length > 10)
  const texts = new Map<string, string>()
  for (const path of paths) texts.set(path, await readFile(join(files, path), 'utf8'))
  await withArchive({}, (ufs) => {
    assert.equal(
      applyEdits(ufs, retro).filter(({ leftOut }) => leftOut),
      [],
    )
    for (const [path, text] of texts) {
      // This platform has no site.xml of its own.
      const place = `/${path}`.replace('profile/site/retro.xml', 'profile/site.xml')
      const found = ufs.readFile(place).toString()
      const wanted = text.replaceAll('@STAMP@', STAMP).replaceAll('@VERSION@', '1.2.3')
      assert.is(found, wanted, path)
      const { mode, uid } = ufs.stat(place)
      assert.equal([Boolean(mode & 0o100), uid], [text.startsWith('#!'), 0], path)
    }
  })
})
edits('is the same when it is done again', () =>
  withArchive({}, (ufs) => {
    applyEdits(ufs, retro)
    const before = ufs.readFile('/etc/profile')
    applyEdits(ufs, retro)
    assert.ok(ufs.readFile('/etc/profile').equals(before))
  }),
)
edits('leaves a profile of the platform alone', () => {
  const site = { type: 'file', path: '/etc/svc/profile/site.xml', content: Buffer.from('theirs') }
  return withArchive({ files: [site as never] }, (ufs) => {
    applyEdits(ufs, retro)
    assert.is(ufs.readFile('/etc/svc/profile/site.xml').toString(), 'theirs')
    assert.ok(ufs.exists('/etc/svc/profile/site/retro.xml'))
  })
})
edits('leaves out what a platform has not, and says so', () => {
  const profile = { type: 'directory', path: '/etc/ssh/sshd_config.d' } as const
  return withArchive({ files: [profile] }, (ufs) => {
    ufs.remove('/etc/ssh/sshd_config')
    const left = applyEdits(ufs, retro).flatMap(({ what, leftOut }) =>
      leftOut ? [`${what}: ${leftOut}`] : [],
    )
    assert.equal(left, ['logins by key only: there is no /etc/ssh/sshd_config'])
  })
})
edits('keeps certificates out of an archive that has no room for them', () =>
  withArchive({}, (ufs) => {
    const { freeBytes } = ufs.space()
    const certificates = 'x'.repeat(freeBytes)
    const reports = applyEdits(ufs, { ...retro, certificates })
    const [report] = reports.filter(({ leftOut }) => leftOut)
    assert.match(report!.leftOut!, /^no room: \d+ bytes, and \d+ are free$/)
  }),
)
edits('never lets a password through', async () => {
  const shadow = { type: 'file', path: '/etc/shadow', content: Buffer.from('adm:NP:1::::::\n') }
  const made = { files: [shadow as never] }
  assert.match(
    await refusal(withArchive(made, (ufs) => void applyEdits(ufs, retro))),
    /^Cannot no password of root|Cannot .*\/etc\/shadow is not what is expected$/,
  )
  await withArchive({}, (ufs) => {
    const none = [] as const
    assert.throws(() => applyEdits(ufs, retro, none), /Cannot ship this platform: \/etc\/shadow/)
  })
})
edits.run()

const details = suite('details of retro')
details('sets options of sshd where others were, once', () => {
  assert.is(
    withSshOptions('Port 22\n#PasswordAuthentication maybe\npasswordauthentication yes\n', {
      PasswordAuthentication: 'no',
    }),
    'PasswordAuthentication no\nPort 22\n#PasswordAuthentication maybe\n',
  )
})
details('finds a driver where it is and something is bound to it', () => {
  const platform = (aliases: string, ...drivers: string[]) => ({
    exists: (path: string) =>
      path === '/etc/driver_aliases' || drivers.some((one) => path === `/kernel/drv/amd64/${one}`),
    realPath: (path: string) => path,
    readFile: () => Buffer.from(aliases),
  })
  const both = 'vioblk "pci1af4,2"\nvioif "pci1af4,1"\n'
  assert.equal(driversOf(platform(both, 'vioblk', 'vioif')), { nic: 'virtio', disk: 'virtio' })
  assert.equal(driversOf(platform(both, 'vioblk')), { nic: 'e1000', disk: 'virtio' })
  assert.equal(driversOf(platform('', 'vioblk', 'vioif')), { nic: 'e1000', disk: 'ide' })
})
details('quotes what has commas in it', () => {
  assert.is(bootProperty('ttya-mode', '115200,8,n,1,-'), 'ttya-mode="115200,8,n,1,-"')
  assert.is(bootProperty('console', 'ttya'), 'console=ttya')
})
details('boots the first entry, and has the others', async () => {
  const key: UsbKey = {
    bytes: 0,
    files: new Map(),
    kernel: '/k',
    archive: '/a',
    entries: [
      { name: 'live', title: 'Live', properties: ['a=b', 'c=d'] },
      { name: 'kmdb', title: 'Debugger', flags: '-kd', properties: ['a=b'] },
    ],
    epochSeconds: 0,
  }
  const text = syslinuxConfig(key)
  assert.match(text, /^default live$/m)
  assert.match(text, /^ {2}append \/k -B a=b,c=d --- \/a$/m)
  assert.match(text, /^ {2}append \/k -kd -B a=b --- \/a$/m)
  const long = { ...key, entries: [{ name: 'x', title: 'X', properties: ['y'.repeat(2000)] }] }
  assert.throws(() => syslinuxConfig(long), /Cannot boot "X": its \d+ characters are too many/)
})
details.run()
