/** Servers that mean no good, and addresses with a password: what curl does of it, and who sees what. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { readdirSync, readFileSync } from 'node:fs'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fetchFile } from '../../lib/media/fetch.ts'
import { fetchMedia } from '../../lib/media/media.ts'
import { needPackages, run, workDir } from '../live.ts'
import { refusal } from '../refusal.ts'
import { inTemporaryDir } from '../temporary.ts'

needPackages({ curl: 'curl' })

/** A server for the time of some work. */
async function serving(answer: RequestListener, work: (place: string) => Promise<void>) {
  const server = createServer(answer)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  try {
    await work(`127.0.0.1:${(server.address() as AddressInfo).port}`)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}
const env = { no_proxy: '127.0.0.1' }
const once = { attempts: 1, env }

const { dir, remove } = await workDir()

const fetching = suite('fetchFile()')
for (const address of [
  'file:///etc/passwd',
  'FILE:/etc/passwd',
  'ftp://127.0.0.1/x',
  'gopher://127.0.0.1/',
]) {
  fetching(`does not follow a server to ${address}`, () =>
    inTemporaryDir((dir) =>
      serving(
        (_, answer) => answer.writeHead(302, { location: address }).end(),
        async (place) => {
          const path = join(dir, 'file')
          assert.match(await refusal(fetchFile(`http://${place}/x`, path, once)), /^Cannot fetch /)
          assert.not((await readdir(dir)).includes('file'))
        },
      ),
    ),
  )
}
fetching('takes no name from a server', () =>
  inTemporaryDir((dir) =>
    serving(
      (_, answer) =>
        answer
          .writeHead(200, { 'content-disposition': 'attachment; filename="../../evil"' })
          .end('content'),
      async (place) => {
        await fetchFile(`http://${place}/x`, join(dir, 'file'), once)
        assert.equal(await readdir(dir), ['file'])
        assert.is(await readFile(join(dir, 'file'), 'utf8'), 'content')
      },
    ),
  ),
)
for (const [what, address] of [
  ['a log-in', (place: string) => `http://me:s3cret-w"rd@${place}/x`],
  ['a signature', (place: string) => `http://${place}/x?signature=s3cret-w%22rd`],
] as const) {
  fetching(
    `names ${what} of an address to the server, and to nobody in the list of processes`,
    () =>
      inTemporaryDir((dir) => {
        const seen = { curl: 0, secret: 0, authorization: '', url: '' }
        return serving(
          (request, answer) => {
            seen.authorization = request.headers.authorization ?? ''
            seen.url = request.url!
            // Curl waits for the answer: now it is there to be seen.
            for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
              let words = ''
              try {
                words = readFileSync(`/proc/${pid}/cmdline`, 'latin1')
              } catch {
                continue // it ended meanwhile
              }
              if (words.startsWith('curl\0')) seen.curl += 1
              if (words.includes('s3cret-w')) seen.secret += 1
            }
            answer.end('content')
          },
          async (place) => {
            // What is no address must not become more words of curl's either.
            await fetchFile(`${address(place)} y`, join(dir, 'file'), once).catch(() => {})
            await fetchFile(address(place), join(dir, 'file'), once)
            assert.is(await readFile(join(dir, 'file'), 'utf8'), 'content')
            if (what === 'a signature') assert.is(seen.url, '/x?signature=s3cret-w%22rd')
            else {
              const login = Buffer.from('me:s3cret-w"rd').toString('base64')
              assert.is(seen.authorization, `Basic ${login}`)
            }
            assert.ok(seen.curl > 0)
            assert.is(seen.secret, 0)
            const said = await refusal(
              fetchFile(address('127.0.0.1:1').replace('"', ''), join(dir, 'no'), once),
            )
            assert.match(said, /^Cannot fetch/)
            assert.not.match(said, /s3cret/)
          },
        )
      }),
  )
}
fetching.run()

const asking = suite('check-updates')
asking('tells no password of a proxy, on no way', async () => {
  const proxy = 'http://me:s3cret-word@127.0.0.1:1'
  const words = ['debian-12', '--proxy', proxy, '--json', '--cache', join(dir, 'asked')]
  const { status, stdout, stderr } = await run('check-updates', words)
  const [{ problem }] = JSON.parse(stdout) as [{ problem: string }]
  assert.match(problem, /^Cannot fetch https?:.* by way of the proxy http:.*127\.0\.0\.1:1: /)
  assert.not.match(stdout + stderr, /s3cret/)
  assert.is(status, 1, 'nobody could be asked')
})
asking.run()

const listing = suite('fetchMedia()')
listing('takes no path, no hidden file and no option from a list for a name', () =>
  inTemporaryDir(async (dir) => {
    const hex = 'ab'.repeat(32)
    for (const name of ['../../evil.iso', '/etc/evil.iso', '.evil.iso', '-evil.iso', '..']) {
      const requests: string[] = []
      await serving(
        (request, answer) => {
          requests.push(request.url!)
          answer.end(`${hex}  ${name}\n`)
        },
        async (place) => {
          const source = { name: 'debian-13', roots: [`http://${place}/`], sums: 'SHA256SUMS' }
          const trust = { signature: 'none', trust: undefined, pinned: hex } as const
          const wanted = { ...source, ...trust, file: /iso$|^\.\.$/ }
          const cache = join(dir, 'cache')
          assert.match(
            await refusal(fetchMedia(wanted, cache, once)),
            /it lists ".*", which is no file's name/,
          )
          assert.equal(requests, ['/SHA256SUMS'])
          assert.equal(await readdir(cache), [])
        },
      )
    }
  }),
)
listing.run()

const keeping = suite('answers in the cache')
keeping.after(remove)
keeping('are for their owner alone: they have the proxy in them', async () => {
  const answers = join(dir, 'own.cfg')
  await writeFile(answers, '# own\n')
  const { status, stdout, stderr } = await run('create-image-debian', [
    ...['13', 'iso', '--method', 'installer', '--cache', join(dir, 'cache')],
    ...['--proxy', 'http://me:s3cret-word@proxy:3128', '--answers', answers],
  ])
  assert.is(status, 0)
  const place = stdout.trim()
  assert.is((await stat(place)).mode & 0o777, 0o700)
  assert.match(await readFile(join(place, 'preseed.cfg'), 'utf8'), /s3cret-word/)
  assert.not.match(stdout + stderr, /s3cret-word/)
})
keeping.run()
