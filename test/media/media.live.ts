/** Media from vendors' folders, as HTTP servers on the loopback offer them. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as openpgp from 'openpgp'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fetchMedia, type MediaSource } from '../../lib/media/media.ts'
import { needPackages } from '../live.ts'
import { refusal } from '../refusal.ts'

needPackages({ curl: 'curl' })

type Pair = { privateKey: openpgp.PrivateKey; publicKey: openpgp.PublicKey }
const makePair = () =>
  openpgp.generateKey({
    userIDs: [{ name: 'Vendor' }],
    type: 'ecc',
    format: 'object',
  }) as Promise<Pair>
const vendor = await makePair()
const forger = await makePair()

const sha512 = (data: Buffer) => createHash('sha512').update(data).digest('hex')
const OLD = Buffer.alloc(200_000, 'old')
const NEW = Buffer.alloc(300_000, 'new')
const LIST = `${sha512(OLD)}  debian-13.9.0-amd64-netinst.iso\n${sha512(NEW)}  debian-13.10.0-amd64-netinst.iso\n${sha512(NEW)}  debian-edu-13.10.0-amd64-netinst.iso\n`

async function sign(text: string, { privateKey }: Pair): Promise<string> {
  const message = await openpgp.createMessage({ binary: Buffer.from(text) })
  return String(await openpgp.sign({ message, signingKeys: privateKey, detached: true }))
}
const clearsign = async (text: string, { privateKey }: Pair) =>
  openpgp.sign({ message: await openpgp.createCleartextMessage({ text }), signingKeys: privateKey })

/** A folder as the vendor fills it. */
const folder = async (list = LIST, by = vendor): Promise<Record<string, string | Buffer>> => ({
  'cd/SHA512SUMS': list,
  'cd/SHA512SUMS.sign': await sign(list, by),
  'cd/debian-13.9.0-amd64-netinst.iso': OLD,
  'cd/debian-13.10.0-amd64-netinst.iso': NEW,
})

type Site = {
  files: Record<string, string | Buffer>
  requests: string[]
  cache: string
  source: (change?: Partial<MediaSource>) => MediaSource
  fetch: (change?: Partial<MediaSource>, offline?: boolean) => ReturnType<typeof fetchMedia>
}
async function withSite(
  files: Record<string, string | Buffer>,
  use: (site: Site) => Promise<void>,
) {
  const requests: string[] = []
  const server = createServer((request, response) => {
    const path = request.url!.slice(1)
    requests.push(path)
    const content = files[path]
    if (content === undefined) response.writeHead(404).end('<html>Not found</html>')
    else response.end(content)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const cache = await mkdtemp('/tmp/media-')
  const source = (change: Partial<MediaSource> = {}): MediaSource => ({
    name: 'debian-13',
    roots: [`${base}/gone`, `${base}/cd`],
    sums: 'SHA512SUMS',
    signature: { beside: 'SHA512SUMS.sign' },
    file: /^debian-13\.[\d.]+-amd64-netinst\.iso$/,
    trust: {
      keys: new Map([['vendor.asc', Buffer.from(vendor.publicKey.armor())]]),
      pins: [vendor.publicKey.getFingerprint()],
    },
    ...change,
  })
  const fetch: Site['fetch'] = (change, offline = false) =>
    fetchMedia(source(change), cache, { offline, pauseMs: 1, attempts: 2, env: { no_proxy: '*' } })
  try {
    await use({ files, requests, cache, source, fetch })
  } finally {
    server.close()
    await rm(cache, { recursive: true })
  }
}
const media = suite('fetchMedia()')
media('finds the newest point release in the first folder that has one', async () => {
  await withSite(await folder(), async ({ fetch, requests }) => {
    const { name, path } = await fetch()
    assert.is(name, 'debian-13.10.0-amd64-netinst.iso')
    assert.ok((await readFile(path)).equals(NEW))
    assert.equal(requests, [
      'gone/SHA512SUMS',
      'cd/SHA512SUMS',
      'cd/SHA512SUMS.sign',
      'cd/debian-13.10.0-amd64-netinst.iso',
    ])
  })
})
media('fetches once, and verifies before each use', async () => {
  await withSite(await folder(), async ({ fetch, requests }) => {
    const { path } = await fetch()
    const isos = () => requests.filter((path) => path.endsWith('.iso')).length
    await fetch()
    assert.is(isos(), 1)
    await writeFile(path, 'damaged')
    assert.ok((await readFile((await fetch()).path)).equals(NEW))
    assert.is(isos(), 2)
  })
})
media('works without a network once it has been fetched', async () => {
  await withSite(await folder(), async ({ fetch, requests, cache }) => {
    assert.match(await refusal(fetch({}, true)), /^Cannot use debian-13's media offline: the cache/)
    await fetch()
    const before = requests.length
    const { path } = await fetch({}, true)
    assert.is(requests.length, before)
    await writeFile(path, 'damaged')
    assert.match(await refusal(fetch({}, true)), /is gone or damaged/)
    assert.equal(
      (await readdir(cache)).filter((name) => name.startsWith('.')),
      [],
    )
  })
})
media('refuses a list by another key, and does not look elsewhere', async () => {
  await withSite(await folder(LIST, forger), async ({ fetch, requests, source }) => {
    const roots = source().roots.toReversed()
    assert.match(await refusal(fetch({ roots })), /^Cannot trust .*SHA512SUMS: .*not pinned/)
    assert.not(requests.some((path) => path.endsWith('.iso') || path.startsWith('gone')))
  })
})
media('refuses a list that was changed, and one without a signature', async () => {
  const files = await folder()
  files['cd/SHA512SUMS'] = LIST.replace('13.10.0', '13.99.0')
  await withSite(files, async ({ fetch }) => {
    assert.match(await refusal(fetch()), /^Cannot trust .*digest/)
    delete files['cd/SHA512SUMS.sign']
    assert.match(
      await refusal(fetch()),
      /Cannot find the media of debian-13: .*SHA512SUMS\.sign: .*404/,
    )
  })
})
media('refuses media that are not what the list says, and keeps nothing of them', async () => {
  const files = await folder()
  files['cd/debian-13.10.0-amd64-netinst.iso'] = Buffer.alloc(300_000, 'bad')
  await withSite(files, async ({ fetch, cache }) => {
    assert.match(
      await refusal(fetch()),
      /^Cannot use http.*netinst\.iso: its sha512 is .*, listed is/,
    )
    const left = (await readdir(cache, { recursive: true })).filter((name) => name.includes('.iso'))
    assert.equal(left, [])
  })
})
media('says what was there when no name matches', async () => {
  await withSite(await folder(), async ({ fetch }) => {
    const text = await refusal(fetch({ file: /^debian-99/ }))
    assert.match(text, /gone\/SHA512SUMS: .*404/)
    assert.match(text, /matching \/\^debian-99\/ .*listed are debian-13\.9\.0/)
  })
})
media('reads a list that carries its signature', async () => {
  const files = await folder()
  files['cd/CHECKSUM'] = await clearsign(LIST, vendor)
  await withSite(files, async ({ fetch }) => {
    const carried = { sums: 'CHECKSUM', signature: 'inside' } as const
    assert.is((await fetch(carried)).name, 'debian-13.10.0-amd64-netinst.iso')
    files['cd/CHECKSUM'] = await clearsign(LIST, forger)
    assert.match(await refusal(fetch(carried)), /^Cannot trust/)
  })
})
media('takes a signed copy beside the list for its signature', async () => {
  const files = await folder()
  files['cd/SHA512SUMS.sign'] = String(await clearsign(LIST, vendor))
  await withSite(files, async ({ fetch }) => {
    assert.is((await fetch()).name, 'debian-13.10.0-amd64-netinst.iso')
    // What counts is the signed copy, whatever the list beside it says.
    files['cd/SHA512SUMS'] = LIST.replaceAll('13.10.0', '13.99.0')
    assert.is((await fetch()).name, 'debian-13.10.0-amd64-netinst.iso')
    files['cd/SHA512SUMS.sign'] = String(await clearsign(LIST, forger))
    assert.match(await refusal(fetch()), /^Cannot trust .*not pinned/)
  })
})
media('believes a list that nobody signed only for a digest of the operator', async () => {
  await withSite(await folder(), async ({ fetch, requests }) => {
    const unsigned = { signature: 'none', trust: undefined } as const
    assert.match(await refusal(fetch(unsigned)), /^Cannot trust .*: the vendor does not sign it$/)
    assert.match(
      await refusal(fetch({ ...unsigned, pinned: 'f'.repeat(128) })),
      /--checksum is f+$/,
    )
    assert.not(requests.some((path) => path.endsWith('.iso')))
    const { path } = await fetch({ ...unsigned, pinned: sha512(NEW).toUpperCase() })
    assert.ok((await readFile(path)).equals(NEW))
  })
})
media('follows a page of links to folder and list', async () => {
  const list = `${sha512(NEW)}  Linux-R9-U10-x86_64-dvd.iso\n`
  const files: Record<string, string | Buffer> = {
    'isos.html':
      '<a href="/ISOS/u9/Linux-R9-U9-x86_64-dvd.iso">9</a> <A HREF=ISOS/u10/Linux-R9-U10-x86_64-dvd.iso>10</A>' +
      '<a href="ISOS/u10/Linux-R9-U10-aarch64-dvd.iso">arm</a> <a href="javascript:void(0)">x</a>',
    'sums/R9-U10.checksum': String(await clearsign(list, vendor)),
    'ISOS/u10/Linux-R9-U10-x86_64-dvd.iso': NEW,
  }
  await withSite(files, async ({ fetch, requests, source }) => {
    const base = new URL(source().roots[0]!).origin
    const change = {
      roots: [`${base}/isos.html`],
      linked: true,
      sums: `${base}/sums/R9-U$1.checksum`,
      signature: 'inside',
      file: /^Linux-R9-U(\d+)-x86_64-dvd\.iso$/,
    } as const
    const { path, name } = await fetch(change)
    assert.is(name, 'Linux-R9-U10-x86_64-dvd.iso')
    assert.ok((await readFile(path)).equals(NEW))
    assert.equal(requests, [
      'isos.html',
      'sums/R9-U10.checksum',
      'ISOS/u10/Linux-R9-U10-x86_64-dvd.iso',
    ])
    assert.match(
      await refusal(fetch({ ...change, file: /^Linux-R8/ })),
      /Cannot find media matching \/\^Linux-R8\/ in \S+isos\.html: listed are Linux-R9-U9/,
    )
  })
})
media.run()
