import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { debian } from '../../distros/debian.ts'
import type { Distro } from '../../distros/distro.ts'
import { rocky } from '../../distros/rocky.ts'
import { ubuntu } from '../../distros/ubuntu.ts'
import { UsageError } from '../../lib/cli/errors.ts'
import { compactTime, makeStamp, readStatus, stampText } from '../../lib/image/stamp.ts'
import { secretsOf } from '../../lib/hygiene/secrets.ts'
import { errorOf } from '../temporary.ts'
import { at, recipeOf } from '../recipe-of.ts'

const recipe = (argv: string[], env?: NodeJS.ProcessEnv) => recipeOf(debian, argv, env)
async function refusal(...argv: string[]): Promise<string> {
  try {
    await recipe(argv)
  } catch (error) {
    assert.instance(error, UsageError)
    return (error as UsageError).message
  }
  return 'accepted'
}

const resolving = suite('resolveRecipe()')
resolving('knows releases by number and codename', async () => {
  for (const word of ['12', 'bookworm']) {
    const { name, version, title, kernel, disk } = await recipe([word])
    assert.equal(
      { name, version, title, kernel, disk },
      {
        name: 'debian-12',
        version: '20260508',
        title: 'Debian 12 (bookworm)',
        kernel: 'linux-image-amd64',
        disk: { kind: 'file', bytes: 10 * 1024 ** 3, blockBytes: 8192, parent: '/data' },
      },
    )
  }
})
resolving('lists the known releases when one is unknown', async () => {
  assert.is(await refusal('99'), 'Unknown Debian release "99": known are 11, 12, 13')
})
resolving('puts the wanted kernel in place of the default one', async () => {
  const { packages } = await recipe(['12', '--kernel', 'linux-image-cloud-amd64'])
  assert.ok(packages.includes('linux-image-cloud-amd64'))
  assert.not(packages.includes('linux-image-amd64'))
})
resolving('adds packages, once each', async () => {
  const { packages } = await recipe(['12', '--include', 'tmux,sudo'])
  assert.ok(packages.includes('tmux'))
  assert.is(packages.filter((name) => name === 'sudo').length, 1)
})
resolving('without --mirror: the default, then the archive', async () => {
  const { mirrors } = await recipe(['11'])
  assert.equal(mirrors[0], {})
  assert.match(mirrors[1]!.main!, /archive/)
})
resolving('with --mirror: that one alone', async () => {
  const { mirrors } = await recipe(['12', '--mirror', 'http://m/debian/'])
  assert.equal(mirrors, [{ main: 'http://m/debian', security: debian.bootstrap!.securityMirror }])
  const none = await recipe(['12', '--mirror', 'http://m', '--security-mirror', 'none'])
  assert.equal(none.mirrors, [{ main: 'http://m' }])
})
resolving('takes the proxy from the environment in either case', async () => {
  const env = { HOME: '/', HTTP_PROXY: 'http://p:1', NO_PROXY: 'localhost' }
  assert.equal((await recipe(['12'], env)).proxyEnv, {
    http_proxy: 'http://p:1',
    HTTP_PROXY: 'http://p:1',
    https_proxy: 'http://p:1',
    HTTPS_PROXY: 'http://p:1',
    no_proxy: 'localhost',
    NO_PROXY: 'localhost',
  })
  assert.equal((await recipe(['12'])).proxyEnv, {})
})
resolving(
  'takes a proxy without a scheme for one of http, and knows a password in it',
  async () => {
    const env = { HOME: '/', http_proxy: 'p:1', https_proxy: 'me:s3cret12345@p:2' }
    const made = await recipe(['12'], env)
    assert.is(made.proxyEnv['http_proxy'], 'http://p:1')
    assert.is(made.proxyEnv['HTTPS_PROXY'], 'http://me:s3cret12345@p:2')
    assert.ok(secretsOf(made).some(({ bytes }) => bytes.equals(Buffer.from('s3cret12345'))))
    const wrong = await errorOf(() => recipe(['12'], { ...env, https_proxy: 'me:s/c@p' }))
    assert.match(wrong.message, /^Cannot read address "http:\/\/\*\*\*@p"/)
  },
)
resolving('caches where XDG says', async () => {
  assert.is((await recipe(['12'])).cache, '/home/a/.cache/hybrid-images')
  const env = { HOME: '/home/a', XDG_CACHE_HOME: '/c' }
  assert.is((await recipe(['12'], env)).cache, '/c/hybrid-images')
})
for (const [argv, expected] of [
  [['12', '--size', '1G'], /too small: a system needs 2048M/],
  [['12', '--include', 'Bad_Name'], /Cannot read package name "Bad_Name"/],
  [['12', '--include=-oDir=x'], /Cannot read package name/],
  [['12', '--kernel', 'a1,b1'], /name one package/],
  [['12', '--customize', '/no/such'], /Cannot read customize script "\/no\/such"/],
  [['12', '--customize', '/'], /it is no file/],
  [['12', '--mirror', 'ftp://x'], /has to start with http/],
  [['12', '--security-mirror', 'http://x'], /needs --mirror/],
] as [string[], RegExp][]) {
  resolving(`refuses ${argv.slice(1).join(' ')}`, async () => {
    assert.match(await refusal(...argv), expected)
  })
}
for (const [words, expected] of [
  [['--iso', 'a.iso'], 'Option --iso needs --method installer'],
  [['--answers', '/etc/passwd'], 'Option --answers needs --method installer'],
  [
    ['--method', 'installer', '--checksum', 'abc'],
    'Cannot read --checksum "abc": it is no SHA-256 or SHA-512',
  ],
  [
    ['--method', 'installer', '--iso', 'http://m/a.iso'],
    'Cannot trust http://m/a.iso without --checksum',
  ],
  [['--method', 'installer', '--key', '/no/key'], 'Cannot read key "/no/key"'],
  [['--method', 'installer', '--answers', '/no/file'], 'Cannot read answers "/no/file"'],
  [['--method', 'magic'], 'Unknown --method "magic": choose bootstrap or installer or cloud-image'],
] as const) {
  resolving(`refuses ${words.join(' ')}`, async () => {
    assert.is(await refusal('12', ...words), expected)
  })
}
resolving('has a machine for the installer only', async () => {
  assert.is((await recipe(['12'])).installer, undefined)
  const { installer, layout } = await recipe([
    ...['12', '--method', 'installer', '--layout', 'lvm', '--memory', '3G', '--cpus', '4'],
  ])
  assert.is(layout, 'lvm')
  assert.is(installer?.memoryMiB, 3072)
  assert.is(installer?.cpus, 4)
  assert.is(installer?.medium, undefined)
})
resolving('has what a layout needs, where no installer brings it', async () => {
  const layout = ['--layout', 'lvm']
  const { packages } = await recipe(['12', ...layout])
  assert.ok(packages.includes('lvm2'))
  assert.not((await recipe(['12'])).packages.includes('lvm2'))
  const installed = await recipe(['12', ...layout, '--method', 'installer'])
  assert.not(installed.packages.includes('lvm2'))
})
resolving('makes volumes where the machine writes to them', async () => {
  const { disk } = await recipe([
    ...['12', '--method', 'installer', '--disk', 'zvol', '--volblocksize', '16K'],
    ...['--dataset', 'zones/a/builds'],
  ])
  assert.equal(
    { kind: disk.kind, blockBytes: disk.blockBytes, parent: disk.parent },
    { kind: 'zvol', blockBytes: 16384, parent: 'zones/a/builds' },
  )
  assert.match(await refusal('12', '--disk', 'zvol'), /--disk zvol needs --method installer/)
  assert.match(await refusal('12', '--machine', 'bhyve'), /--machine bhyve needs --method inst/)
  assert.match(
    await refusal('12', '--volblocksize', '3K'),
    /^Cannot use blocks of "3K": a power of two from 512 to 128K/,
  )
})
resolving('takes a base image and what its set-up is to find', async () => {
  const { cloud } = await recipe([
    ...[
      '12',
      '--method',
      'cloud-image',
      '--base',
      'base.qcow2',
      '--kernel',
      'linux-image-rt-amd64',
    ],
    ...['--files', '.', '--memory', '1G'],
  ])
  assert.equal(cloud!.base, { iso: 'base.qcow2', checksum: undefined })
  assert.equal(
    [cloud!.kernel, cloud!.files, cloud!.memoryMiB],
    ['linux-image-rt-amd64', process.cwd(), 1024],
  )
  for (const [says, ...argv] of [
    [/--base needs --method cloud-image/, '12', '--base', 'b.qcow2'],
    [/--iso needs --method installer/, '12', '--method', 'cloud-image', '--iso', 'x.iso'],
    [
      /Cannot trust https:\/\/x\/b\.qcow2 without --checksum/,
      '12',
      '--method',
      'cloud-image',
      '--base',
      'https://x/b.qcow2',
    ],
    [
      /Cannot read --files "none": it is no directory/,
      '12',
      '--method',
      'cloud-image',
      '--files',
      'none',
    ],
    [/Cannot read user-data "none"/, '12', '--method', 'cloud-image', '--user-data', 'none'],
    [/--checksum needs --method installer or cloud-image/, '12', '--checksum', 'abc'],
  ] as [RegExp, ...string[]][]) {
    assert.match(await refusal(...argv), says)
  }
})
resolving.run()

const ARM = ['--arch', 'arm64', '--target', 'maas']
const arm = suite('resolveRecipe() for arm64')
for (const [distro, argv, expected] of [
  [
    debian,
    ['12', '--format', 'ddgz'],
    {
      name: 'debian-12-arm64',
      kernel: 'linux-image-arm64',
      loaders: ['shim-signed', 'grub-efi-arm64', 'grub-efi-arm64-signed'],
      mirror: undefined,
    },
  ],
  [
    debian,
    ['13'],
    { name: 'debian-13-arm64', kernel: 'linux-image-arm64', loaders: [], mirror: undefined },
  ],
  [
    ubuntu,
    ['24.04', '--format', 'ddgz'],
    {
      name: 'ubuntu-24.04-arm64',
      kernel: 'linux-image-generic',
      loaders: ['shim-signed', 'grub-efi-arm64', 'grub-efi-arm64-signed'],
      mirror: 'http://ports.ubuntu.com/ubuntu-ports',
    },
  ],
] as const) {
  arm(`${distro.name} ${argv.join(' ')}`, async () => {
    const { name, kernel, packages, mirrors, arch } = await recipeOf(distro, [...argv, ...ARM])
    const loaders = packages.filter((one) => /^(grub|shim)/.test(one))
    assert.equal({ name, kernel, loaders, mirror: mirrors[0]!.main }, expected)
    assert.is(arch, 'arm64')
    assert.not.match(packages.join(), /amd64|grub-pc/)
  })
}
arm('leaves the usual names as they are', async () => {
  const { name, fileName, arch } = await recipe(['12', '--arch', 'amd64'])
  assert.equal([name, fileName, arch], ['debian-12', 'debian-12-20260508', 'amd64'])
})
arm('boots the vendor’s cloud image of it, in a machine of it', async () => {
  const words = ['12', '--method', 'cloud-image', '--format', 'ddgz', ...ARM]
  const { cloud, release } = await recipe(words)
  assert.is(cloud!.hypervisor.arch, 'arm64')
  assert.ok(release.cloudMedia!.file.test('debian-12-generic-arm64.qcow2'))
  assert.not(release.cloudMedia!.file.test('debian-12-generic-amd64.qcow2'))
})
for (const [distro, argv, says, hint] of [
  [
    debian,
    ['12', '--arch', 'arm64'],
    'Option --arch arm64 does not fit --target smartos: SmartOS runs on x86 only',
    /^Choose --target maas\b/,
  ],
  [
    debian,
    ['12', '--method', 'installer', '--format', 'ddgz', ...ARM],
    'Option --arch arm64 does not fit --method installer: its media and answers are known for amd64',
    /^Choose --method bootstrap/,
  ],
  [
    rocky,
    ['9', '--format', 'ddgz', ...ARM],
    'Option --arch arm64 does not fit Rocky Linux: its installer, which alone builds it, is known for amd64',
    /^undefined$/,
  ],
] as [Distro, string[], string, RegExp][]) {
  arm(`refuses ${distro.name} ${argv.join(' ')}`, async () => {
    const error = await recipeOf(distro, argv).catch((reason: unknown) => reason)
    assert.instance(error, UsageError)
    assert.is((error as UsageError).message, says)
    assert.match(String((error as UsageError).hint), hint)
  })
}
arm.run()

const stamps = suite('stampText(), compactTime()')
stamps('make file names', () => {
  assert.is(compactTime(new Date('2026-05-08T01:02:03.456Z')), '20260508T010203Z')
  assert.is(stampText('feature/x y', at, 'abc'), 'feature-x-y-20260508T120000Z-abc')
})
stamps('have branch and commit of a checkout, and whether it was changed', () => {
  const oid = '76b76aec365c0123456789abcdef0123456789ab'
  const status = (head: string, more = '') => `# branch.oid ${oid}\n# branch.head ${head}${more}`
  const commit = oid.slice(0, 12)
  assert.equal(readStatus(status('main')), { commit, branch: 'main' })
  const upstream = '\n# branch.upstream origin/a/b\n# branch.ab +1 -0'
  assert.equal(readStatus(status('a/b', upstream)), { commit, branch: 'a/b' })
  const changed = `\n1 .M N... 100644 100644 100644 ${oid} ${oid} README.md`
  assert.equal(readStatus(status('main', changed)), { commit: `${commit}-dirty`, branch: 'main' })
  assert.equal(readStatus(status('(detached)')), { commit, branch: undefined })
  assert.equal(readStatus(''), { commit: 'nogit', branch: 'release' })
  const first = '# branch.oid (initial)\n# branch.head main'
  assert.equal(readStatus(first), { commit: 'nogit', branch: 'main' })
})
stamps('are of this checkout', async () => {
  const { text } = await makeStamp({ SOURCE_DATE_EPOCH: '1778241600' })
  assert.match(text, /^[A-Za-z0-9._-]+-20260508T120000Z-([0-9a-f]{12}(-dirty)?|nogit)$/)
})
stamps.run()
