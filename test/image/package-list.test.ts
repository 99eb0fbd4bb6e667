/** The list of packages: what the script prints inside a system, and how its lines are read again. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LISTING } from '../../lib/machine/markers.ts'
import { readPackageList } from '../../lib/image/package-list.ts'
import { inTemporaryDir } from '../temporary.ts'

const LIST = `
hybrid-images-system|debian|12|deb|.
hybrid-images-package|zlib1g|1:1.2.13.dfsg-1|amd64|zlib|1:1.2.13.dfsg-1|.
hybrid-images-licence|zlib1g|Zlib|.
hybrid-images-package|base-files|12.4+deb12u8|amd64|base-files|12.4+deb12u8|.
hybrid-images-licence|base-files|GPL-2+;MI|.
hybrid-images-licence|base-files|T|.
hybrid-images-package|bash|5.2.15-2+b7|amd64|bash|5.2.15-2|.
hybrid-images-packages|3|.
`

const reading = suite('readPackageList()')
reading('sorts, and puts pieces of licences together', () => {
  const list = readPackageList(LIST)!
  assert.equal(list.system, { id: 'debian', version: '12', kind: 'deb' })
  assert.equal(
    list.packages.map(({ name, licences }) => [name, licences]),
    [
      ['base-files', ['GPL-2+', 'MIT']],
      ['bash', []],
      ['zlib1g', ['Zlib']],
    ],
  )
  assert.is(list.packages[1]!.version, '5.2.15-2+b7')
  assert.is(list.packages[1]!.sourceVersion, '5.2.15-2')
})
reading(
  'finds it between what a console shows besides, and behind what a log writes in front',
  () => {
    const log = LIST.trim()
      .split('\n')
      .map((line, i) => `Nov 21 10:00:0${i % 10} in-target: ${line}\r\nkernel: [ 1.0] hello`)
    assert.equal(readPackageList(log.join('\n')), readPackageList(LIST))
  },
)
reading('takes the last of several, as after a try that failed', () => {
  const again = LIST.replace('bash|', 'dash|')
  assert.is(readPackageList(LIST + again)!.packages[1]!.name, 'dash')
})
reading('does not take a list for whole that is not', () => {
  for (const damaged of [
    LIST.replace('|3|', '|4|'),
    LIST.replace('hybrid-images-packages|3|.', ''),
    LIST.replace('amd64|bash', 'am\n[   12.3] random: crng init done\nd64|bash'),
    LIST + LIST.slice(0, -30),
    '',
  ]) {
    assert.is(readPackageList(damaged), undefined, damaged)
  }
})
reading.run()

const script = fileURLToPath(new URL('../../distros/list-packages.sh', import.meta.url))
const TOOLS = ['sh', 'sed', 'sort', 'awk', 'cat']

/** Run the script with a package manager that says this. */
async function listed(dir: string, program: string, output: string) {
  const bin = join(dir, 'bin')
  await mkdir(bin)
  for (const tool of TOOLS) {
    const path = spawnSync('which', [tool], { encoding: 'utf8' }).stdout.trim()
    await symlink(path, join(bin, tool))
  }
  await writeFile(join(bin, program), `#!/bin/sh\ncat <<'END'\n${output}\nEND\n`)
  await chmod(join(bin, program), 0o755)
  return spawnSync(join(bin, 'sh'), [script], { encoding: 'utf8', env: { PATH: bin } })
}

const printing = suite('list-packages.sh')
printing('prints what dpkg has installed, and nothing that it has removed', () =>
  inTemporaryDir(async (dir) => {
    const { status, stdout, stderr } = await listed(
      dir,
      'dpkg-query',
      'ii |no-such-b|1.0|all|no-such-b|1.0|\nrc |gone|1|amd64|gone|1|\nhi |no-such-a|2:1|amd64|src|1|',
    )
    assert.is(status, 0, stderr)
    const list = readPackageList(stdout)!
    assert.is(list.system.kind, 'deb')
    assert.equal(
      list.packages.map(({ name, version, arch, source }) => [name, version, arch, source]),
      [
        ['no-such-a', '2:1', 'amd64', 'src'],
        ['no-such-b', '1.0', 'all', 'no-such-b'],
      ],
    )
  }),
)
printing('prints what rpm has, without keys, in lines that no log cuts', () =>
  inTemporaryDir(async (dir) => {
    const long = Array.from({ length: 40 }, (_, i) => `Licence-${i}`).join(' and ')
    const { status, stdout, stderr } = await listed(
      dir,
      'rpm',
      `kernel|(none):4.18-1.el8|x86_64|kernel-4.18-1.el8.src.rpm||${long}\n` +
        'gpg-pubkey|(none):1-2|(none)|(none)||pubkey\nbind-libs|32:9.11-1|x86_64|bind.src.rpm||MPLv2.0',
    )
    assert.is(status, 0, stderr)
    const list = readPackageList(stdout)!
    assert.is(list.system.kind, 'rpm')
    assert.equal(
      list.packages.map(({ name, version, licences }) => [name, version, licences]),
      [
        ['bind-libs', '32:9.11-1', ['MPLv2.0']],
        ['kernel', '4.18-1.el8', [long]],
      ],
    )
    // busybox' syslogd, which installers have, takes 256 characters.
    for (const line of stdout.trim().split('\n')) {
      assert.ok(line.length < 200, line)
      assert.ok(LISTING.test(line), line)
    }
  }),
)
printing.run()
