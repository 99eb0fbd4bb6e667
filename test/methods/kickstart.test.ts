import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { kickstartWords, readKickstart } from '../../lib/methods/kickstart.ts'

const GOOD = `# comment
cmdline
cdrom
lang en_US.UTF-8
keyboard us
timezone Etc/UTC --utc
rootpw --lock
bootloader --location=mbr --append="console=tty0 console=ttyS0,115200n8"
part / --fstype=xfs --onpart=vda4
poweroff
%packages
@core
-linux-firmware
# no package
%end
%post
echo %done
%end
`
const problems = (text: string) => readKickstart(text).problems.map(({ what }) => what)

const reading = suite('readKickstart()')
reading('takes a whole file apart', () => {
  const { commands, packages, scripts, problems } = readKickstart(GOOD)
  assert.equal(problems, [])
  assert.is(commands.length, 9)
  assert.equal(packages, ['@core', '-linux-firmware'])
  assert.equal(scripts, [{ section: 'post', line: 16, text: 'echo %done' }])
  const { words } = commands.find(({ words }) => words[0] === 'bootloader')!
  assert.is(words[2], '--append=console=tty0 console=ttyS0,115200n8')
})
for (const [what, from, to, expected] of [
  ['an unknown command', 'cmdline', 'cmdlin', 'unknown command cmdlin'],
  ['a command of another version', 'cmdline', 'install', 'unknown command install'],
  ['an unknown option', '--utc', '--isUtc', 'timezone does not know --isUtc'],
  ['an option without its value', '--onpart=vda4', '--onpart', 'part does not know --onpart'],
  ['an empty value', '--onpart=vda4', '--onpart=', 'part does not know --onpart='],
  ['a word too many', 'keyboard us', 'keyboard us de', 'keyboard has 2 words, not 1 to 1'],
  ['a missing command', 'poweroff\n', '', 'poweroff is missing'],
  ['no source', 'cdrom\n', '', 'no source of packages: cdrom or url'],
  ['an unknown section', '%post', '%past', 'unknown section %past'],
  ['a package that is none', '@core', '@core two', 'no package: @core two'],
  ['a section without its end', 'echo %done\n%end', 'echo %done', '%post has no %end'],
] as const) {
  reading(`finds ${what}`, () => {
    assert.ok(GOOD.includes(from))
    assert.equal(problems(GOOD.replace(from, to)), [expected])
  })
}
reading('finds a section inside another', () => {
  assert.ok(problems(GOOD.replace('@core', '%pre\n@core')).includes('%pre inside %packages'))
})
reading.run()

const words = suite('kickstartWords()')
words('reads quotes as a shell does', () => {
  assert.equal(kickstartWords(`a --b="c d"  'e f' --g=h`), ['a', '--b=c d', 'e f', '--g=h'])
})
words.run()
