import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readFile } from 'node:fs/promises'
import { autoinstallProblems } from '../../lib/methods/autoinstall.ts'

const read = async (name: string) => {
  const path = new URL(`../fixtures/answers/${name}.cfg`, import.meta.url)
  return (await readFile(path, 'utf8')).replace(/^# Kernel: .*\n/, '')
}
const good = await read('ubuntu-24.04-lvm')

const reading = suite('autoinstallProblems()')
reading('has nothing to say of our own answers', () => {
  assert.equal(autoinstallProblems(good), [])
})
for (const [what, from, to, says] of [
  [
    'a first line that cloud-init does not read',
    '#cloud-config\n',
    '# cloud-config\n',
    /first line/,
  ],
  ['what is no YAML', '  version: 1\n', '  version: [1\n', /^not YAML: /],
  ['no autoinstall', 'autoinstall:', 'autoinstaller:', /^unknown key autoinstaller/],
  ['a key that an installer would pass over', 'timezone:', 'time-zone:', /^unknown key time-zone$/],
  ['a key of a section', 'allow-pw:', 'allow-password:', /^unknown key ssh\.allow-password$/],
  ['text for a number', 'version: 1', 'version: one', /^version is no number: "one"$/],
  [
    'a section that is a word',
    'keyboard: {layout: us}',
    'keyboard: us',
    /^keyboard is no mapping$/,
  ],
  ['a command that is a mapping', '- sh /run', '- do: sh /run', /^early-commands is no commands: /],
  ['what nobody would log in by', /user-data:.*\n/, '\n', /^user-data is missing$/],
  ['an action of another kind', 'type: lvm_volgroup', 'type: raid', /^storage: unknown type raid$/],
  [
    'an action with another key',
    'ptable: gpt,',
    'ptable: gpt, wipes: x,',
    /disk has the unknown key wipes/,
  ],
  [
    'a reference to nothing',
    'volgroup: group',
    'volgroup: groups',
    /volgroup of lvm_partition root is groups/,
  ],
  ['one id twice', 'id: esp,', 'id: bios,', /^storage: id "bios" of a partition is not its own$/],
  ['no BIOS boot partition', ', flag: bios_grub', '', /^storage: no BIOS boot partition$/],
  ['another partition table', 'ptable: gpt', 'ptable: msdos', /^storage: no GPT$/],
] as const) {
  reading(`finds ${what}`, () => {
    const text = good.replace(from, to)
    assert.is.not(text, good)
    const problems = autoinstallProblems(text)
    assert.ok(
      problems.some((problem) => says.test(problem)),
      problems.join('; '),
    )
  })
}
reading.run()
