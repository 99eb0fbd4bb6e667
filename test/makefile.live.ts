/** The names that packer-maas' Makefile had, and its variables; that the commands build is shown elsewhere. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { needPackages, root } from './live.ts'

needPackages({ make: 'make' })

function make(...words: string[]) {
  const { SERIES, ARCH, URL: _, SUMS, TIMEOUT, PACKER_LOG, CUSTOMIZE, KERNEL, ...env } = process.env
  return spawnSync('make', ['--no-print-directory', ...words], { cwd: root, encoding: 'utf8', env })
}
/** The command that a target would run. */
const commandOf = (...words: string[]) => {
  const { stdout, stderr } = make('-n', ...words)
  return /\$\((\.\/bin\/.*?)\s*\)/.exec(stdout)?.[1]?.replaceAll(/\s+/g, ' ') ?? stderr
}

const targets = suite('Makefile')
for (const [words, expected] of [
  [
    ['custom-cloudimg.tar.gz', 'SERIES=jammy'],
    'jammy --target maas --name custom-cloudimg.tar.gz --format tgz',
  ],
  [[], 'jammy --target maas --name custom-cloudimg.tar.gz --format tgz'],
  [
    ['custom-ubuntu.tar.gz', 'SERIES=Noble', 'CUSTOMIZE=my-changes.sh', 'KERNEL=linux-lowlatency'],
    "noble --target maas --name custom-ubuntu.tar.gz --customize 'my-changes.sh' --kernel 'linux-lowlatency' --format tgz",
  ],
  [
    ['custom-ubuntu-lvm.dd.gz', 'PACKER_LOG=1', 'TIMEOUT=90m'],
    "jammy --target maas --name custom-ubuntu-lvm.dd.gz --verbose --format ddgz --method installer --layout lvm --timeout '90m'",
  ],
  [
    ['custom-ubuntu-lvm.dd.gz', 'URL=http://m/releases', 'SUMS=MD5SUMS'],
    "jammy --target maas --name custom-ubuntu-lvm.dd.gz --format ddgz --method installer --layout lvm --timeout '1h' --media 'http://m/releases/jammy/' --sums 'MD5SUMS'",
  ],
  [
    ['custom-cloudimg.tar.gz', 'SERIES=noble', 'ARCH=arm64'],
    "noble --target maas --name custom-cloudimg.tar.gz --arch 'arm64' --format tgz",
  ],
] as [string[], string][]) {
  targets(words.join(' ') || 'no target: a root tar', () => {
    assert.is(commandOf(...words), `./bin/create-image-ubuntu ${expected}`)
  })
}
targets('refuses to install for an architecture that no installer is run on', () => {
  const { status, stderr } = make('custom-ubuntu-lvm.dd.gz', 'ARCH=arm64')
  assert.is(status, 2)
  assert.match(
    stderr,
    /^ARCH=arm64 does not fit custom-ubuntu-lvm\.dd\.gz: it is made by the inst/m,
  )
  assert.match(stderr, /^ {2}From packages: \.\/bin\/create-image-ubuntu jammy --arch arm64 /m)
})
targets('leaves it to the command what it knows of other architectures', () => {
  const { status, stderr } = make('custom-cloudimg.tar.gz', 'ARCH=mips')
  assert.is(status, 2)
  assert.match(stderr, /Unknown --arch "mips": choose amd64 or arm64/)
})
targets('its commands have options that exist', () => {
  for (const name of [
    'custom-cloudimg.tar.gz',
    'custom-ubuntu.tar.gz',
    'custom-ubuntu-lvm.dd.gz',
  ]) {
    const words = commandOf(name, 'SERIES=noble', 'URL=http://m/x').replaceAll("'", '').split(' ')
    const { status, stderr } = spawnSync(words[0]!, [...words.slice(1), '--dry-run'], {
      cwd: root,
      encoding: 'utf8',
    })
    assert.is(status, 0, stderr)
    assert.ok(stderr.includes(name), name)
  }
})
targets.run()
