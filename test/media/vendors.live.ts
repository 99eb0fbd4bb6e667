/**
 * Media discovery of every release, as its definition says: folders, lists, signatures and keys laid out as
 * the vendor lays them out, on a server on loopback, with a key of the test in place of the vendor's.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as openpgp from 'openpgp'
import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { distros } from '../../distros/all.ts'
import type { Distro, Release } from '../../distros/distro.ts'
import { checkUpdate, pointRelease } from '../../lib/image/updates.ts'
import { findKeys } from '../../lib/media/keys.ts'
import { fetchMedia } from '../../lib/media/media.ts'
import { validateRelease } from '../../lib/image/validate.ts'
import { needPackages, run, workDir } from '../live.ts'
import { refusal } from '../refusal.ts'

needPackages({ curl: 'curl' })

type Layout = {
  /** What the vendor's list or page has; the newest that is wanted stands in the middle. */
  names: string[]
  newest: string
  point: string
  style: (hex: string, name: string) => string
}
const gnu = (hex: string, name: string) => `${hex}  ${name}`
const binary = (hex: string, name: string) => `${hex} *${name}`
const bsd = (hex: string, name: string) => `# ${name}: 5 bytes\nSHA256 (${name}) = ${hex}`

const debian = (version: string): Layout => ({
  names: [
    `debian-${version}.9.0-amd64-netinst.iso`,
    `debian-${version}.10.0-amd64-netinst.iso`,
    `debian-edu-${version}.11.0-amd64-netinst.iso`,
    `debian-${version}.11.0-arm64-netinst.iso`,
  ],
  newest: `debian-${version}.10.0-amd64-netinst.iso`,
  point: `${version}.10`,
  style: gnu,
})
const ubuntu = (version: string): Layout => ({
  names: [
    `ubuntu-${version}-live-server-amd64.iso`,
    `ubuntu-${version}.10-live-server-amd64.iso`,
    `ubuntu-${version}.9-live-server-amd64.iso`,
    `ubuntu-${version}.11-desktop-amd64.iso`,
  ],
  newest: `ubuntu-${version}.10-live-server-amd64.iso`,
  point: `${version}.10`,
  style: binary,
})
const rebuild = (vendor: string, version: string): Layout => ({
  names: [
    `${vendor}-${version}.9-x86_64-boot.iso`,
    `${vendor}-${version}.10-x86_64-boot.iso`,
    `${vendor}-${version}.10-x86_64-minimal.iso`,
    `${vendor}-${version}-latest-x86_64-boot.iso`,
  ],
  newest: `${vendor}-${version}.10-x86_64-boot.iso`,
  point: `${version}.10`,
  style: bsd,
})
const oracle = (version: string): Layout => ({
  names: [
    `OracleLinux-R${version}-U9-x86_64-boot.iso`,
    `OracleLinux-R${version}-U10-x86_64-boot.iso`,
    `OracleLinux-R${version}-U10-x86_64-boot-uek.iso`,
    `OracleLinux-R${version}-U10-x86_64-dvd.iso`,
  ],
  newest: `OracleLinux-R${version}-U10-x86_64-boot.iso`,
  point: `${version}.10`,
  style: gnu,
})
const stream = (version: string): Layout => ({
  names: [
    `CentOS-Stream-${version}-20261103.0-x86_64-boot.iso`,
    `CentOS-Stream-${version}-20261110.0-x86_64-boot.iso`,
    `CentOS-Stream-${version}-latest-x86_64-boot.iso`,
  ],
  newest: `CentOS-Stream-${version}-20261110.0-x86_64-boot.iso`,
  point: '20261110.0',
  style: bsd,
})
const vault = (name: string, point: string, style = gnu): Layout => ({
  names: [name, name.replace(/boot|netinstall|NetInstall/, 'dvd')],
  newest: name,
  point,
  style,
})
const LAYOUTS: Record<string, Layout> = {
  ...Object.fromEntries(['11', '12', '13'].map((one) => [`debian-${one}`, debian(one)])),
  ...Object.fromEntries(['20.04', '22.04', '24.04'].map((one) => [`ubuntu-${one}`, ubuntu(one)])),
  ...Object.fromEntries(
    ['8', '9', '10'].flatMap((one) => [
      [`rocky-${one}`, rebuild('Rocky', one)],
      [`almalinux-${one}`, rebuild('AlmaLinux', one)],
      [`oraclelinux-${one}`, oracle(one)],
    ]),
  ),
  'centos-6': vault('CentOS-6.10-x86_64-netinstall.iso', '6.10'),
  'centos-7': vault('CentOS-7-x86_64-NetInstall-2009.iso', 'CentOS-7-x86_64-NetInstall-2009.iso'),
  'centos-8': vault('CentOS-8.5.2111-x86_64-boot.iso', '8.5.2111', bsd),
  'centos-stream9': stream('9'),
  'centos-stream10': stream('10'),
}

/** Cloud images: name of the list's newest, and others that are none of ours. */
const cloud = (style: Layout['style'], point: string, newest: string, ...others: string[]) => ({
  ...{ style, point, newest },
  names: [...others, newest],
})
const CLOUD_LAYOUTS: Record<string, Layout> = {
  ...Object.fromEntries(
    ['11', '12', '13'].map((one) => {
      const name = `debian-${one}-generic-amd64.qcow2`
      const others = [`debian-${one}-genericcloud-amd64.qcow2`, `debian-${one}-generic-arm64.qcow2`]
      return [`debian-${one}`, cloud(gnu, name, name, ...others)]
    }),
  ),
  ...Object.fromEntries(
    ['20.04', '22.04', '24.04'].map((one) => {
      const name = `ubuntu-${one}-server-cloudimg-amd64.img`
      const others = [name.replace('amd64', 'arm64'), name.replace('.img', '.squashfs')]
      return [`ubuntu-${one}`, cloud(binary, name, name, ...others)]
    }),
  ),
  ...Object.fromEntries(
    ['8', '9', '10'].flatMap((one) => {
      const rocky = (kind: string, point: string) =>
        `Rocky-${one}-GenericCloud-${kind}-${point}.x86_64.qcow2`
      const alma = (point: string) => `AlmaLinux-${one}-GenericCloud-${point}.x86_64.qcow2`
      const built = `${one}.10-20260901`
      const older = `${one}.9-20260801.0`
      return [
        [
          `rocky-${one}`,
          cloud(
            bsd,
            `${one}.10`,
            rocky('Base', `${built}.0`),
            rocky('Base', older),
            rocky('LVM', `${built}.0`),
            `Rocky-${one}-GenericCloud-Base.latest.x86_64.qcow2`,
          ),
        ],
        [`almalinux-${one}`, cloud(gnu, `${one}.10`, alma(built), alma(older), alma('latest'))],
      ]
    }),
  ),
  ...Object.fromEntries(
    ['9', '10'].map((one) => {
      const name = (day: string) => `CentOS-Stream-GenericCloud-${one}-${day}.x86_64.qcow2`
      const others = [name('20261103.0'), name('latest'), name('20261110.0').replace('x86', 'ppc')]
      return [`centos-stream${one}`, cloud(bsd, '20261110.0', name('20261110.0'), ...others)]
    }),
  ),
}

const makeKey = async () =>
  (await openpgp.generateKey({ userIDs: [{ name: 'Vendor' }], format: 'object' })).privateKey
const vendor = await makeKey()
const forger = await makeKey()

const { dir, remove } = await workDir()
const site = new Map<string, string | Buffer>()
const server = createServer((request, response) => {
  const content = site.get(request.url!)
  if (content === undefined) response.writeHead(404).end('<html>Not found</html>')
  else response.end(content)
})
await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
/** The vendor's address, on loopback: https://host/path is /host/path. */
const here = (address: string) => address.replace(/^https?:\//, base)
const put = (address: string, content: string | Buffer) =>
  site.set(here(address).slice(base.length), content)

const sha256 = (data: string) => createHash('sha256').update(data).digest('hex')

/** The release, with its media at our server and signed by the test's key. */
function moved(release: Release): Release {
  const { media } = release
  return {
    ...release,
    media: {
      ...media,
      roots: media.roots.map(here),
      sums: here(media.sums),
      key: media.key && {
        fingerprints: [vendor.getFingerprint()],
        file: '/no/keyring.gpg',
        url: here(media.key.url),
      },
    },
  }
}

/** Fill the site as the vendor does. */
async function publish({ media }: Release, layout: Layout, by = vendor) {
  site.clear()
  const root = media.roots.at(-1)! // the others are gone, as they are when a release gets old
  const list = `${layout.names.map((name) => layout.style(sha256(name), name)).join('\n')}\n`
  let place = new URL(root)
  let sums = new URL(media.sums, root).href
  if (media.linked) {
    place = new URL('/ISOS/u10/', root)
    const links = layout.names.map((name) => `<a href="${new URL(name, place).pathname}">x</a>`)
    // Links of the page lead to the host of the page; ours is a folder.
    put(root, links.join('\n').replaceAll('href="', `href="${here(place.origin)}`))
    sums = media.sums.replaceAll('$1', '10')
  }
  for (const name of layout.names) put(new URL(name, place).href, name)
  const { signature, key } = media
  const message = await openpgp.createCleartextMessage({ text: list })
  if (signature === 'inside') put(sums, await openpgp.sign({ message, signingKeys: by }))
  else put(sums, list)
  if (typeof signature === 'object') {
    const data = await openpgp.createMessage({ binary: Buffer.from(list) })
    const beside = await openpgp.sign({ message: data, signingKeys: by, detached: true })
    put(new URL(signature.beside, sums).href, beside)
  }
  if (key) put(key.url, vendor.toPublic().armor())
}

const fetching = { env: { no_proxy: '*' }, attempts: 1, pauseMs: 1, report: () => {} }
const all: [string, Distro, Release][] = distros.flatMap((distro) =>
  distro.releases.map((release): [string, Distro, Release] => [
    `${distro.name}-${release.version}`,
    distro,
    release,
  ]),
)

const vendors = suite('media of every release')
vendors('are all here', () => {
  assert.equal(Object.keys(LAYOUTS).sort(), all.map(([name]) => name).sort())
})
for (const [name, distro, release] of all) {
  vendors(`${name}: the newest is found, verified and fetched`, async () => {
    const layout = LAYOUTS[name]!
    await publish(release, layout)
    const cache = join(dir, name)
    const { media } = moved(release)
    const trust = media.key && (await findKeys(media.key, undefined, cache, fetching))
    const pinned = media.signature === 'none' ? sha256(layout.newest) : undefined
    const { path } = await fetchMedia({ ...media, name, trust, pinned }, cache, fetching)
    assert.is(await readFile(path, 'utf8'), layout.newest)

    const output = join(dir, `bits-${name}`)
    const ask = () => checkUpdate(distro, moved(release), output, cache, fetching)
    const first = await ask()
    assert.is(first.upstream, layout.point, first.problem)
    assert.is(first.state, 'never built')
    for (const [upstream, state] of [
      [layout.point, 'current'],
      ['1.0', 'newer upstream'],
    ] as const) {
      await mkdir(join(output, name, 'stamp'), { recursive: true })
      await writeFile(join(output, `${name}-latest-build-stamp`), 'stamp\n')
      const manifest = { published_at: '2026-05-08T12:00:00Z', tags: { upstream } }
      await writeFile(join(output, name, 'stamp/x.imgmanifest'), JSON.stringify(manifest))
      const { state: found, built } = await ask()
      assert.equal([built, found], [upstream, state])
    }
    if (media.signature !== 'none') {
      await publish(release, layout, forger)
      const { state, problem } = await ask()
      assert.is(state, 'unknown')
      assert.match(problem!, /^Cannot trust /)
    }
    await publish(release, { ...layout, names: ['renamed-1.iso'] })
    const { problem } = await ask()
    assert.match(problem!, /Cannot find media matching .*(listed are renamed-1\.iso|lists no file)/)
  })
}
vendors('cloud images are here of every release that has some', () => {
  const named = all.filter(([, , { cloudMedia }]) => cloudMedia).map(([name]) => name)
  assert.equal(Object.keys(CLOUD_LAYOUTS).sort(), named.sort())
})
for (const [name, layout] of Object.entries(CLOUD_LAYOUTS)) {
  vendors(`${name}: the newest cloud image is found, verified and fetched`, async () => {
    const [, , release] = all.find(([one]) => one === name)!
    const asMedia = { ...release, media: release.cloudMedia! }
    await publish(asMedia, layout)
    const { media } = moved(asMedia)
    const cache = join(dir, `cloud-${name}`)
    const trust = media.key && (await findKeys(media.key, undefined, cache, fetching))
    const unsigned = media.signature === 'none'
    const source = { ...media, name, trust }
    if (unsigned) {
      const message = await refusal(fetchMedia(source, cache, fetching))
      assert.match(message, /^Cannot trust .*: the vendor does not sign it$/)
    }
    const pinned = unsigned ? sha256(layout.newest) : undefined
    const { path } = await fetchMedia({ ...source, pinned }, cache, fetching)
    assert.is(await readFile(path, 'utf8'), layout.newest)
    assert.is(pointRelease(asMedia, layout.newest), layout.point)
    if (unsigned) return
    await publish(asMedia, layout, forger)
    assert.match(await refusal(fetchMedia(source, cache, fetching)), /^Cannot trust /)
  })
}
vendors('build-images validate asks for folders, packages and keys', async () => {
  const [, distro, release] = all.find(([name]) => name === 'rocky-8')!
  const { repositories } = release
  const ours: Release = {
    ...moved(release),
    repositories: { ...repositories!, mirror: here(repositories!.mirror) },
  }
  const ask = () => validateRelease({ ...distro, releases: [ours] }, '8', true)
  await publish(release, LAYOUTS['rocky-8']!)
  put(release.media.roots[0]!, '<html>')
  put(`${repositories!.mirror}/${repositories!.base}repodata/repomd.xml`, '<xml>')
  assert.equal(await ask(), [])
  put(release.media.key!.url, forger.toPublic().armor())
  assert.match((await ask()).join('\n'), /^Cannot use key .*$/)
  site.clear()
  const problems = await ask()
  assert.is(problems.length, 3, problems.join('\n'))
  for (const one of problems) assert.match(one, /404/)
})
vendors('check-updates says by its status what its table says', async () => {
  // Whether this machine reaches the vendor or not.
  const { status, stdout, stderr } = await run('check-updates', [
    ...['debian-13', '--json', '--output', join(dir, 'none'), '--cache', join(dir, 'cache')],
  ])
  const [row, ...others] = JSON.parse(stdout) as { name: string; state: string }[]
  assert.equal([row!.name, others.length], ['debian-13', 0])
  assert.equal([status, row!.state], status === 10 ? [10, 'never built'] : [1, 'unknown'])
  assert.is(
    /^Warning: debian-13: Cannot .*\n[^]*^Error: Cannot ask 1 of 1/m.test(stderr),
    status === 1,
  )
})
vendors.after(async () => {
  server.close()
  await remove()
})
vendors.run()
