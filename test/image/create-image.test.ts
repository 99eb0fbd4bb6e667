/** `create-image-debian` as far as it gets without root, network and host packages. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, existsSync } from 'node:fs'
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inTemporaryDir } from '../temporary.ts'

const command = fileURLToPath(new URL('../../bin/create-image-debian', import.meta.url))

function run(args: string[], env: NodeJS.ProcessEnv = {}) {
  const options = { encoding: 'utf8', env: { ...process.env, ...env }, timeout: 30_000 } as const
  const result = spawnSync(command, args, options)
  return { status: result.status, stdout: result.stdout, lines: result.stderr.trim().split('\n') }
}

const usage = suite('create-image-debian, bad usage')
for (const [args, status, expected] of [
  [[], 2, /^Error: Missing RELEASE$/],
  [['99'], 2, /^Error: Unknown Debian release "99": known are 11, 12, 13$/],
  [['12', '--sise', '10G'], 2, /^Error: Unknown option --sise$/],
  [['12', '--size', 'ten'], 2, /^Error: Cannot read size "ten"/],
  [
    ['12', '--customize', '/no/such.sh'],
    2,
    /^Error: Cannot read customize script "\/no\/such\.sh"$/,
  ],
  [['12', 'images'], 2, /^Error: Unknown stage "images": stages are fetch, iso, image, upload$/],
  [['12', 'upload'], 2, /^Error: Stage upload needs --upload-to DIR$/],
  [['12', '--iso', 'a.iso'], 2, /^Error: Option --iso needs --method installer$/],
  [['12', '--output', '/proc/images'], 1, /^Error: Cannot write to "\/proc\/images"/],
  [['12', '--output', '/dev/null/x'], 1, /^Error: Cannot write to "\/dev\/null\/x"/],
] as [string[], number, RegExp][]) {
  usage(`${args.join(' ') || 'no words'}: status ${status}, one line`, () => {
    const { status: found, stdout, lines } = run(args)
    assert.match(lines[0]!, expected)
    assert.ok(lines.length <= 2, lines.join('\n'))
    assert.is(found, status)
    assert.is(stdout, '')
  })
}
usage.run()

const host = suite('create-image-debian, host not ready')
host('--no-install: status 3 with the one command that fixes it', () =>
  inTemporaryDir(async (dir) => {
    // A machine with Node and nothing else.
    for (const program of ['bash', 'git', 'apt-get']) {
      const path = spawnSync('which', [program], { encoding: 'utf8' }).stdout.trim()
      if (path) await symlink(path, join(dir, program))
    }
    await symlink(process.execPath, join(dir, 'node'))
    const env = { PATH: dir, HOME: dir }
    const { status, lines } = run(['12', '--no-install', '--output', join(dir, 'bits')], env)
    const at = lines.findIndex((line) => line.startsWith('Error: '))
    assert.match(lines[at]!, /This machine lacks mmdebstrap \(installs packages/)
    assert.match(lines[at + 1]!, /apt-get install -y --no-install-recommends mmdebstrap /)
    assert.is(status, 3)
    assert.not(existsSync(join(dir, 'bits')))
  }),
)
host.run()

const dry = suite('create-image-debian --dry-run')
dry('prints the recipe and every command in order, and touches nothing', () =>
  inTemporaryDir(async (dir) => {
    const tmp = join(dir, 'tmp')
    await mkdir(tmp)
    const script = join(dir, 'custom.sh')
    await writeFile(script, '#!/bin/sh\n')
    const { status, stdout, lines } = run(
      ['12', '--dry-run', '--output', join(dir, 'bits'), '--customize', script],
      { TMPDIR: tmp, HOME: dir, XDG_CACHE_HOME: join(dir, 'cache') },
    )
    assert.is(status, 0)
    assert.is(stdout, '')
    assert.equal((await readdir(dir)).sort(), ['custom.sh', 'tmp'])
    assert.equal(await readdir(tmp), [])

    const text = lines.join('\n')
    assert.match(text, /"title": "Debian 12 \(bookworm\)"/)
    const order = [
      /^# make .*disk\.raw of \d+ bytes/m,
      /^\S.*mmdebstrap --verbose/m,
      /^sfdisk /m,
      /mkfs\.ext4 /,
      /mkfs\.vfat /,
      /mcopy .*BOOTX64/,
      /^# write GRUB's boot sectors/m,
      /^qemu-img map/m,
      /^# write .*\.zfs\.gz.*libdeflate-gzip/m,
      /^# write .*\.imgmanifest/m,
      /^# rename .*\.partial to /m,
      /^# Remove /m,
    ].map((pattern) => text.search(pattern))
    assert.not(order.includes(-1), `${order}`)
    assert.equal(
      order,
      order.slice().sort((a, b) => a - b),
    )

    // All of it is a script that a shell can read.
    await writeFile(join(dir, 'script'), text)
    chmodSync(join(dir, 'script'), 0o755)
    execFileSync('bash', ['-n', join(dir, 'script')])
  }),
)
dry('prints what an installation would do, with the machine that it needs', () =>
  inTemporaryDir(async (dir) => {
    const env = { TMPDIR: dir, HOME: dir, XDG_CACHE_HOME: join(dir, 'cache') }
    const output = join(dir, 'bits')
    const words = [
      '13',
      '--method',
      'installer',
      '--layout',
      'lvm',
      '--dry-run',
      '--output',
      output,
    ]
    const { status, lines } = run(words, env)
    assert.is(status, 0)
    assert.equal(await readdir(dir), [])
    const text = lines.join('\n')
    const order = [
      /^# find the newest .*13.* in https:/m,
      /^# take \/install\.amd\/vmlinuz and \/install\.amd\/initrd\.gz out of /m,
      /^# add the answers to /m,
      /^setpriv --pdeathsig KILL -- \S*qemu-system-x86_64 .* -kernel .* -append .*priority=critical/m,
      /^# write .*\.zfs\.gz/m,
    ].map((pattern) => text.search(pattern))
    assert.not(order.includes(-1), `${order}`)
    assert.equal(
      order,
      order.slice().sort((a, b) => a - b),
    )
  }),
)
for (const [method, there, missing] of [
  [
    'bootstrap',
    /mmdebstrap .*--architectures=arm64 [^]*^start=2048, .*name=esp\n[^]*BOOTAA64\.EFI$/m,
    /name=bios|boot sectors|x64/,
  ],
  [
    'cloud-image',
    /^# copy \S+ to \S+variables\.fd$[^]*qemu-system-aarch64 .* -machine virt,gic-version=max /m,
    /-vga|ide-cd|mmdebstrap/,
  ],
] as const) {
  dry(`prints what ${method} does for arm64`, () =>
    inTemporaryDir(async (dir) => {
      const env = { TMPDIR: dir, HOME: dir, XDG_CACHE_HOME: join(dir, 'cache') }
      const words = ['12', '--arch', 'arm64', '--target', 'maas', '--format', 'ddgz', '--dry-run']
      const { status, lines } = run(
        [...words, '--method', method, '--output', join(dir, 'bits')],
        env,
      )
      // Installing what is missing is told as well.
      const text = lines.filter((line) => !/^#  |^DEBIAN_FRONTEND=/.test(line)).join('\n')
      assert.is(status, 0)
      assert.match(text, there)
      assert.not.match(text, missing)
      assert.equal(await readdir(dir), [])
    }),
  )
}
for (const [stages, there, missing] of [
  [
    ['fetch'],
    /apt-get update --option=pkgCacheFile::Generate=false$[^]*apt-get install --yes --print-uris/m,
    /mkfs|--verbose|imgmanifest/,
  ],
  // Before tools that this machine lacks are installed, the machine's own lists are read.
  [['image'], /apt-get install [^]*mmdebstrap --verbose/, /^(?!DEBIAN_FRONTEND).*apt-get update/m],
  [['iso'], /^# Method bootstrap needs no answers$/m, /mmdebstrap/],
  [
    ['fetch', 'image'],
    /apt-get update --option=pkgCacheFile::Generate=false$[^]*mmdebstrap --verbose/m,
    /Method bootstrap/,
  ],
] as const) {
  dry(`runs only what ${stages.join(' ')} needs`, () =>
    inTemporaryDir(async (dir) => {
      const env = { TMPDIR: dir, HOME: dir, XDG_CACHE_HOME: join(dir, 'cache') }
      const words = ['12', ...stages, '--dry-run', '--output', join(dir, 'bits')]
      const { status, lines } = run(words, env)
      const text = lines.filter((line) => !/^#  /.test(line)).join('\n')
      assert.is(status, 0)
      assert.match(text, there)
      assert.not.match(text, missing)
    }),
  )
}
dry.run()
