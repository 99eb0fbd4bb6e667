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
    signature: 'SHA512SUMS.sign',
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
    const carried = { sums: 'CHECKSUM', signature: undefined }
    assert.is((await fetch(carried)).name, 'debian-13.10.0-amd64-netinst.iso')
    files['cd/CHECKSUM'] = await clearsign(LIST, forger)
    assert.match(await refusal(fetch(carried)), /^Cannot trust/)
  })
})
media.run()
