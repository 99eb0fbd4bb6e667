/** Uploads to a server that does and refuses what MAAS does and refuses; its state is looked at afterwards. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { authorization, parseKeyFile } from '../../lib/publish/maas-key.ts'
import { maasPublisher } from '../../lib/publish/maas.ts'
import type { Publication } from '../../lib/publish/publisher.ts'
import { errorOf, inTemporaryDir } from '../temporary.ts'
import { KEY, MaasServer } from './maas-server.ts'
import { publicationOf, publish } from './publication.ts'

const PART = 128 * 1024
/** Five parts, the last of five bytes. */
const BYTES = 4 * PART + 5

const NO_OPTIONS = {
  url: undefined,
  'api-key': undefined,
  architecture: undefined,
  title: undefined,
  'base-image': undefined,
}

type Given = {
  server: MaasServer
  publication: Publication
  dir: string
  upload: (notes?: string[], completeMs?: number) => ReturnType<typeof publish>
  options: Parameters<typeof maasPublisher>[0]
}

async function withMaas(use: (given: Given) => Promise<void>, name = 'golden.tar.gz') {
  const server = await new MaasServer().start()
  try {
    await inTemporaryDir(async (dir) => {
      await writeFile(join(dir, 'key'), `${KEY}\n`)
      const publication = await publicationOf(join(dir, name), BYTES)
      const options = { ...NO_OPTIONS, url: new URL(server.url), 'api-key': join(dir, 'key') }
      const upload: Given['upload'] = (notes, completeMs = 2000) =>
        publish(
          maasPublisher(options, {}, { partBytes: PART, pauseMs: 1, completeMs }),
          publication,
          notes,
        )
      await use({ server, publication, dir, upload, options })
    })
  } finally {
    await server.stop()
  }
}

/** One resource, one file, and that whole. */
function assertThere({ server, publication }: Pick<Given, 'server' | 'publication'>) {
  assert.is(server.resources.length, 1)
  const file = server.resources[0]!.sets[0]!.file!
  assert.is(file.complete, true)
  const digest = createHash('sha256').update(file.content).digest('hex')
  assert.is(digest, publication.image.sha256)
}

const puts = (server: MaasServer) => server.requests.filter((one) => one.startsWith('PUT')).length
const PUT = /^PUT/
const POST = /^POST/

const uploading = suite('maasPublisher()')
uploading('uploads in parts, each signed anew', () =>
  withMaas(async (given) => {
    const { server, upload } = given
    const notes: string[] = []
    const published = await upload(notes)
    assertThere(given)
    const [resource] = server.resources
    assert.is(resource!.name, 'custom/golden')
    assert.is(resource!.architecture, 'amd64/generic')
    assert.is(resource!.title, 'golden 20261129')
    assert.is(resource!.sets[0]!.file!.filetype, 'root-tgz')
    assert.equal(server.partSizes, [...Array<number>(4).fill(PART), 5])
    assert.is(new Set(server.signatures).size, server.requests.length)
    assert.is(published.existed, false)
    assert.is(published.where, `custom/golden at ${server.url}`)
    assert.match(published.lines[0]!, /osystem=custom distro_series=golden$/)
    assert.match(notes.at(-1)!, /^0\.5 of 0\.5 MiB, [\d.]+ MiB\/s$/)
  }),
)
uploading('changes nothing the second time', () =>
  withMaas(async (given) => {
    await given.upload()
    given.server.requests = []
    assert.is((await given.upload()).existed, true)
    assert.is(given.server.requests.filter((one) => !one.startsWith('GET')).length, 0)
    assertThere(given)
  }),
)
for (const [name, stored] of [
  ['golden.dd.gz', 'root-dd.gz'],
  ['golden.raw', 'root-dd.raw'],
] as const) {
  uploading(`tells the type of ${name} by the file`, () =>
    withMaas(async (given) => {
      await given.upload()
      assert.is(given.server.resources[0]!.sets[0]!.file!.filetype, stored)
    }, name),
  )
}
uploading('refuses what MAAS can not deploy', () =>
  withMaas(async ({ server, upload }) => {
    assert.match((await errorOf(upload)).message, /it is qcow2, which that does not deploy/)
    assert.is(server.requests.length, 0)
  }, 'golden.qcow2'),
)
uploading('leaves another image of that name as it is', () =>
  withMaas(async (given) => {
    const { server, upload, publication, dir } = given
    await upload()
    const other = await publicationOf(join(dir, 'other.tar.gz'), 1000)
    const before = server.requests.length
    const publisher = maasPublisher(given.options, {}, { pauseMs: 1 })
    const error = await errorOf(() => publish(publisher, other))
    assert.match(error.message, /has another image of that name$/)
    assert.match(error.hint!, /maas admin boot-resource delete 1$/)
    assert.is(server.requests.slice(before).filter((one) => !one.startsWith('GET')).length, 0)
    assertThere({ server, publication })
  }),
)
uploading('says when MAAS has the content as another type', () =>
  withMaas(async ({ server, upload }) => {
    await upload()
    server.resources[0]!.sets[0]!.file!.filetype = 'root-dd'
    assert.match((await errorOf(upload)).message, /has it as root-dd, and it is root-tgz$/)
    assert.is(server.resources.length, 1)
  }),
)
uploading.run()

const faults = suite('faults on the way')
for (const status of [409, 503, 502]) {
  faults(`${status} once: the part is sent again`, () =>
    withMaas(async (given) => {
      given.server.faults = [{ on: PUT, after: 3, does: status }]
      await given.upload()
      assertThere(given)
      assert.is(puts(given.server), 6)
    }),
  )
}
faults('a line that breaks in the middle of a part: it is sent again', () =>
  withMaas(async (given) => {
    given.server.faults = [{ on: PUT, after: 2, does: 'half' }]
    await given.upload()
    assertThere(given)
    assert.is(puts(given.server), 6)
  }),
)
faults('a lost answer: the part is not sent twice', () =>
  withMaas(async (given) => {
    given.server.faults = [{ on: PUT, after: 2, does: 'carry out and drop' }]
    await given.upload()
    assertThere(given)
    assert.is(puts(given.server), 5)
  }),
)
faults('a lost answer to the last part: nothing told that the content is right', () =>
  withMaas(async (given) => {
    given.server.faults = [{ on: PUT, after: 4, does: 'carry out and drop' }]
    await given.upload()
    assertThere(given)
    assert.is(puts(given.server), 10)
  }),
)
faults('a lost answer with two region controllers', () =>
  withMaas(async (given) => {
    Object.assign(given.server, { regions: 2, lag: 3 })
    given.server.faults = [{ on: PUT, after: 2, does: 'carry out and drop' }]
    await given.upload()
    assertThere(given)
    assert.is(puts(given.server), 5)
  }),
)
faults('a lost answer to the creation: no second one is made', () =>
  withMaas(async (given) => {
    given.server.faults = [{ on: POST, does: 'carry out and drop' }]
    await given.upload()
    assertThere(given)
    assert.is(given.server.resources[0]!.sets.length, 1)
  }),
)
faults('413: smaller parts', () =>
  withMaas(async (given) => {
    given.server.limit = PART - 1
    await given.upload()
    assertThere(given)
    assert.equal(new Set(given.server.partSizes), new Set([PART / 2, 5]))
  }),
)
faults('413 for any part: an error, and nothing is left', () =>
  withMaas(async ({ server, upload }) => {
    server.limit = 2000
    const error = await errorOf(upload)
    assert.match(error.message, /answers 413: 413 Request Entity Too Large$/)
    assert.match(error.hint!, /proxy/)
    assert.is(server.resources.length, 0)
  }),
)
faults('a part that MAAS had twice: it starts over', () =>
  withMaas(async (given) => {
    // Appended, and rolled back in the database alone: what MAAS 3.7 can do on a conflict.
    const twice = () => {
      const file = given.server.resources[0]!.sets[0]!.file!
      file.content = Buffer.concat([file.content, Buffer.alloc(5)])
    }
    given.server.faults = [{ on: PUT, after: 2, does: twice }]
    await given.upload()
    assertThere(given)
    assert.ok(given.server.requests.some((one) => one.startsWith('DELETE')))
  }),
)
faults('a file that changes under the upload: an error, and nothing is left', () =>
  withMaas(async ({ server, publication, upload }) => {
    await writeFile(publication.image.path, Buffer.alloc(BYTES))
    const error = await errorOf(upload)
    assert.match(error.message, /Saved content does not match given SHA256 value/)
    assert.match(error.hint!, /changed meanwhile/)
    assert.is(server.resources.length, 0)
  }),
)
faults('a file that is longer than announced is not read beyond it', () =>
  withMaas(async (given) => {
    await appendFile(given.publication.image.path, 'more')
    await given.upload()
    assertThere(given)
  }),
)
faults('a server that is busy for ever: an error, and nothing is left', () =>
  withMaas(async ({ server, upload }) => {
    server.faults = Array.from({ length: 5 }, () => ({ on: PUT, does: 503 }))
    assert.match((await errorOf(upload)).message, /at byte \d+: .* answers 503: Service busy$/)
    assert.is(server.resources.length, 0)
  }),
)
faults('a page in place of JSON', () =>
  withMaas(async ({ server, upload }) => {
    server.faults = [{ on: POST, does: 'html' }]
    assert.match((await errorOf(upload)).message, /answers with something that is no JSON$/)
    assert.is(server.resources.length, 0)
  }),
)
faults('MAAS never calls it complete', () =>
  withMaas(async ({ server, upload }) => {
    Object.assign(server, { regions: 2, lag: Infinity })
    const error = await errorOf(() => upload([], 200))
    assert.match(error.message, /has all of it, but calls it incomplete \(50 %\)$/)
    assert.is(server.resources.length, 0)
  }),
)
faults('it waits for the other region controllers', () =>
  withMaas(async (given) => {
    Object.assign(given.server, { regions: 3, lag: 6 })
    const notes: string[] = []
    await given.upload(notes)
    assertThere(given)
    assert.match(notes.at(-1)!, /copies it to its region controllers, 33 %/)
  }),
)
faults('MAAS refuses the base image: its words', () =>
  withMaas(async ({ server, upload, options }) => {
    Object.assign(options, { 'base-image': 'debian/bookworm' })
    const error = await errorOf(upload)
    assert.match(error.message, /answers 400: base_image: please select a valid base image OS/)
    assert.match(error.hint!, /--base-image/)
    assert.is(server.resources.length, 0)
  }),
)
faults('MAAS is not there', () =>
  withMaas(async ({ server, upload }) => {
    await server.stop()
    const error = await errorOf(upload)
    assert.match(
      error.message,
      /^Cannot list the boot resources of MAAS: http:\S+: Failed to connect/,
    )
  }),
)
faults.run()

const keys = suite('API keys')
keys('are refused by MAAS with a hint', () =>
  withMaas(async ({ upload, dir }) => {
    await writeFile(join(dir, 'key'), 'consumer8:token4:wrong')
    const error = await errorOf(upload)
    assert.match(error.message, /answers 401: Authorization Error: 'Invalid signature.'$/)
    assert.match(error.hint!, /Check the API key/)
  }),
)
keys('of a machine whose clock is wrong', () =>
  withMaas(async ({ server, upload }) => {
    server.ahead = 900
    const error = await errorOf(upload)
    assert.match(error.message, /Expired timestamp/)
    assert.match(error.hint!, /clock/)
  }),
)
keys('do not go into the address', () => {
  const url = new URL('http://ops:secret@maas.example.com/MAAS')
  assert.throws(
    () => maasPublisher({ ...NO_OPTIONS, url }, {}),
    ({ message }: Error) => /with a user in it/.test(message) && !message.includes('secret'),
  )
  const env = { MAAS_URL: 'maas.example.com' }
  assert.throws(() => maasPublisher(NO_OPTIONS, env), /has to start with http/)
})
keys('that are none are not shown', () =>
  withMaas(async ({ upload, dir }) => {
    await writeFile(join(dir, 'key'), 'secret')
    const { message } = await errorOf(upload)
    assert.match(message, /three words/)
    assert.not.match(message, /secret/)
  }),
)
keys('are not taken from the command line', () => {
  assert.throws(
    () => parseKeyFile(KEY.replace('/', '')),
    ({ message }: Error) => /names the file/.test(message) && !message.includes('token4'),
  )
  assert.is(parseKeyFile('keys/maas'), 'keys/maas')
})
keys('sign as oauthlib does', () => {
  // What Debian 12's python3-oauthlib 3.2.2, which MAAS' own client has, made of the same.
  const theirs =
    'OAuth oauth_nonce="12345", oauth_timestamp="1780000000", oauth_version="1.0", oauth_signature_method="PLAINTEXT", oauth_consumer_key="abcd", oauth_token="tok", oauth_signature="%26s3cr%252At%252Fx"'
  const key = { consumer: 'abcd', token: 'tok', secret: 's3cr*t/x' }
  const fields = (header: string) =>
    header
      .replace(/^OAuth /, '')
      .split(', ')
      .sort()
  assert.equal(
    fields(authorization(key, { now: 1_780_000_000_123, nonce: '12345' })),
    fields(theirs),
  )
})
keys.run()

const launcher = fileURLToPath(new URL('../../lib/cli/launcher.js', import.meta.url))
const script = fileURLToPath(new URL('./publish-one.ts', import.meta.url))
function command(words: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [launcher, script, '--to', 'maas', ...words], {
    env: { ...process.env, ...env },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data))
  const ended = new Promise<{ status: number | null; output: string }>((done) => {
    child.on('close', (status) => done({ status, output }))
  })
  return { child, ended }
}

const commands = suite('as a command')
commands('an interruption deletes what was uploaded', () =>
  withMaas(async ({ server, publication }) => {
    // The operator stops it while the only part is under way; then while the answer to the creation is.
    for (const on of [PUT, POST]) {
      const { child, ended } = command([publication.image.path, '--url', server.url], {
        MAAS_API_KEY: KEY,
      })
      server.faults = [{ on, does: () => child.kill('SIGINT') }]
      assert.is((await ended).status, 130)
      assert.is(server.faults.length, 0)
      assert.equal(server.resources, [])
    }
  }),
)
commands('a killed upload goes on where it was', () =>
  withMaas(async (given) => {
    const { server, publication, upload } = given
    await upload()
    const file = server.resources[0]!.sets[0]!.file!
    Object.assign(file, { content: file.content.subarray(0, 2 * PART), complete: false })
    server.partSizes = []
    assert.is((await upload()).existed, false)
    assert.is(server.partSizes.length, 3)
    assertThere({ server, publication })
  }),
)
commands('one of which MAAS does not tell how far it is is sent anew', () =>
  withMaas(async (given) => {
    const { server, upload } = given
    await upload()
    const file = server.resources[0]!.sets[0]!.file!
    // What is there is not what was sent.
    Object.assign(file, { content: Buffer.alloc(2 * PART), complete: false })
    await upload()
    assertThere(given)
  }),
)
commands('--dry-run asks nobody', () =>
  withMaas(async ({ server, publication }) => {
    const words = [publication.image.path, '--url', server.url, '--dry-run']
    const { status, output } = await command(words).ended
    assert.is(status, 0)
    assert.match(output, /# upload \S+ to \S+ as custom\/golden, tgz for amd64\/generic/)
    assert.equal(server.requests, [])
  }),
)
commands('the key is nowhere in the output', () =>
  withMaas(async ({ server, publication }) => {
    const words = [publication.image.path, '--url', server.url, '--verbose']
    const { status, output } = await command(words, { MAAS_API_KEY: KEY }).ended
    assert.is(status, 0)
    assert.match(output, /curl .*--data-binary/)
    assert.not.match(output, /secr|token4/)
  }),
)
commands('without an address or a key it is bad usage', () =>
  withMaas(async ({ server, publication }) => {
    const without = { MAAS_URL: '', MAAS_API_KEY: '' }
    const [one, other] = await Promise.all([
      command([publication.image.path], without).ended,
      command([publication.image.path, '--url', server.url], without).ended,
    ])
    assert.is(one.status, 2)
    assert.match(one.output, /Missing --url URL of MAAS/)
    assert.is(other.status, 2)
    assert.match(other.output, /Missing --api-key FILE/)
  }),
)
commands.run()
