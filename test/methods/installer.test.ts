/** What an installer is told, for every release and layout. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { debian } from '../../distros/debian.ts'
import { UsageError } from '../../lib/cli/errors.ts'
import { answerFiles, answerValues } from '../../lib/methods/installer-answers.ts'
import { inTemporaryDir } from '../temporary.ts'
import { recipeOf } from '../recipe-of.ts'

const recipe = (...argv: string[]) => recipeOf(debian, ['--method', 'installer', ...argv])
const files = async (...argv: string[]) => answerFiles(debian, await recipe(...argv))
async function answers(...argv: string[]): Promise<string[]> {
  const file = (await files(...argv)).find(({ to }) => to === 'preseed.cfg')!
  return (file.from as { text: string }).text.split('\n')
}

const told = suite('answerFiles() for Debian')
for (const { version, codename } of debian.releases) {
  for (const layout of ['plain', 'lvm']) {
    told(`${version} ${layout}: complete, one answer for each question`, async () => {
      const lines = await answers(version, '--layout', layout)
      const text = lines.join('\n').replaceAll(/^#.*\n/gm, '')
      assert.not.match(text, /@[A-Z_?]+@/)
      assert.ok(lines.includes(`d-i mirror/suite string ${codename}`))
      assert.ok(
        lines.includes(`d-i partman-auto/method string ${layout === 'lvm' ? 'lvm' : 'regular'}`),
      )
      const asked = [...text.matchAll(/^\S+ (\S+) /gm)].map(([, question]) => question)
      assert.is(new Set(asked).size, asked.length)
      assert.match(text, /^d-i pkgsel\/include string .*\bcloud-init\b/m)
      assert.match(
        text,
        layout === 'lvm' ? /lv_name\{ rootlv \}/ : /\$primary\{ \} .*mountpoint\{ \/ \}/,
      )
      assert.not.match(text, /linux-swap/)
    })
  }
}
told('names a mirror only where one is given, this machine as the guest reaches it', async () => {
  assert.not.match(
    (await answers('12')).join('\n'),
    /mirror\/country|hostname string \S+:|security_host/,
  )
  const lines = await answers(
    ...['12', '--mirror', 'http://127.0.0.1:3142/debian/'],
    ...['--security-mirror', 'http://localhost:3142/debian-security'],
    ...['--proxy', 'http://localhost:3128'],
  )
  for (const line of [
    'd-i mirror/country string manual',
    'd-i mirror/protocol string http',
    'd-i mirror/http/hostname string 192.168.76.2:3142',
    'd-i mirror/http/directory string /debian',
    'd-i mirror/http/proxy string http://192.168.76.2:3128',
    'd-i apt-setup/security_host string 192.168.76.2:3142',
    'd-i apt-setup/services-select multiselect security, updates',
  ]) {
    assert.ok(lines.includes(line), line)
  }
  const https = await answers('13', '--mirror', 'https://m.example.com/debian')
  assert.ok(https.includes('d-i mirror/https/hostname string m.example.com'))
})
told('asks for no security updates where there is no mirror of them', async () => {
  const lines = await answers('12', '--mirror', 'http://m/debian', '--security-mirror', 'none')
  assert.ok(lines.includes('d-i apt-setup/services-select multiselect updates'))
})
told('takes the same guest scripts as every method, and the tools they install', async () => {
  const names = (await files('12')).map(({ to }) => to)
  for (const name of [
    'hybrid-images/early',
    'usr/lib/finish-install.d/94zz-hybrid-images',
    'hybrid-images/guest/set-up',
    'hybrid-images/guest/scripts/0',
    'hybrid-images/guest/linux/sbin/mdata',
    'hybrid-images/guest/linux/install.sh',
  ]) {
    assert.ok(names.includes(name), name)
  }
  assert.is(new Set(names).size, names.length)
})
told('its shell files can be read by a POSIX shell', async () => {
  for (const { to, from, mode } of await files('12')) {
    if (mode !== 0o755 || !('text' in from)) continue
    execFileSync('sh', ['-n'], { input: from.text })
    assert.match(from.text, /^#!\/bin\/sh\n/, to)
  }
})
told("puts the operator's answers last, where they win", () =>
  inTemporaryDir(async (dir) => {
    const own = join(dir, 'own.cfg')
    await writeFile(own, 'd-i time/zone string Europe/Berlin\n')
    const lines = (await answers('12', '--answers', own)).filter((line) => /time\/zone/.test(line))
    assert.equal(lines, ['d-i time/zone string Etc/UTC', 'd-i time/zone string Europe/Berlin'])
  }),
)
told('refuses a security mirror that the installer could not be told of', async () => {
  for (const address of ['https://s/debian-security', 'http://s/other']) {
    const made = await recipe('12', '--mirror', 'http://m/debian', '--security-mirror', address)
    assert.throws(
      () => answerValues(debian, made),
      (error: Error) => error instanceof UsageError,
    )
  }
})
told.run()
