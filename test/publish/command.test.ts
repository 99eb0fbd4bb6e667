/** publish-image as an operator runs it: a process of its own, against servers on loopback. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { fileURLToPath } from 'node:url'
import sshpk from 'sshpk'
import { makeBuild, makeKey, recordFor, STAMP } from './build.ts'
import { ImgapiStandIn } from './imgapi-stand-in.ts'
import { MantaStandIn } from './manta-stand-in.ts'

const dir = await mkdtemp(join(tmpdir(), 'hybrid-images-test-'))
const build = await makeBuild(dir)
const key = await makeKey(dir)
const program = fileURLToPath(new URL('../../bin/publish-image', import.meta.url))

/** Run it; `started` gets the process, to interrupt it. */
async function publish(
  words: string[],
  env: Record<string, string> = {},
  started: (child: ChildProcess) => void = () => {},
) {
  const { PATH = '' } = process.env
  const child = spawn(program, words, { env: { PATH, HOME: dir, ...env }, cwd: dir })
  const said = { stdout: '', stderr: '' }
  child.stdout.on('data', (data: Buffer) => (said.stdout += data))
  child.stderr.on('data', (data: Buffer) => (said.stderr += data))
  started(child)
  const status = await new Promise<number | null>((done) => child.on('close', done))
  return { status, ...said }
}

async function withServer<S extends ImgapiStandIn | MantaStandIn>(
  server: S,
  use: (url: string, server: S) => Promise<unknown>,
) {
  try {
    await use(await server.open(), server)
  } finally {
    await server.close()
  }
}

const listening = async (server: net.Server) => {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return (server.address() as AddressInfo).port
}

const command = suite('publish-image')
command('publishes to an IMGAPI, and prints where', () =>
  withServer(new ImgapiStandIn({ keys: { builder: key.public } }), async (url, server) => {
    const words = [build.manifest, '--to', 'imgapi', '--url', url, '--user', 'builder']
    const first = await publish([...words, '--identity', key.path])
    assert.is(first.status, 0, first.stderr)
    assert.match(first.stdout, new RegExp(`^${url}/images/[0-9a-f-]{36}\n$`))
    assert.match(first.stderr, /Publish: \d+ s/)
    assert.match(first.stderr, /imgadm install -m .* -f /)
    assert.is([...server.images.values()][0]!.state, 'active')
    const second = await publish([...words, '--identity', key.fingerprint, '--json'], {})
    assert.is(second.status, 1)
    assert.match(second.stderr, /Cannot find the key/)
    const third = await publish([...words, '--identity', 'id', '--json', '--verbose'])
    assert.is(third.status, 0, third.stderr)
    assert.is((JSON.parse(third.stdout) as { existed: boolean }).existed, true)
    assert.not.match(third.stderr, /Signature/)
  }),
)
command('publishes to Manta by the variables of its own tools', () =>
  withServer(new MantaStandIn({ [`/ops/keys/${key.fingerprint}`]: key.public }), async (url) => {
    const env = { MANTA_URL: url, MANTA_USER: 'ops', MANTA_KEY_ID: key.path }
    const words = [build.manifest, '--to', 'manta', '--path', '/ops/public/builds']
    const { status, stdout, stderr } = await publish(words, env)
    assert.is(status, 0, stderr)
    assert.is(stdout, `${url}/ops/public/builds/debian-12/${STAMP}\n`)
    assert.ok(await readFile(join(dir, 'bits/debian-12.artifacts-in-manta')))
  }),
)
command('asks no server with --dry-run', async () => {
  const words = [build.manifest, '--to', 'imgapi', '--url', 'http://127.0.0.1:1', '--dry-run']
  const before = await readdir(build.directory)
  const { status, stdout, stderr } = await publish(words)
  assert.is(status, 0, stderr)
  assert.match(stdout, /^http:\/\/127\.0\.0\.1:1\/images\//)
  assert.match(stderr, /# import image .*\n# send .*\n# activate image/)
  assert.equal(await readdir(build.directory), before)
})
for (const [what, words, expected, message] of [
  ['no --to', [], 2, /Missing --to NAME/],
  ['no server', ['--to', 'imgapi'], 2, /needs --url URL/],
  [
    'an option of another',
    ['--to', 'imgapi', '--url', 'http://x', '--path', 'y'],
    2,
    /--path does not fit/,
  ],
  [
    'a server that is not there',
    ['--to', 'imgapi', '--url', 'http://127.0.0.1:1'],
    1,
    /nothing listens there/,
  ],
] as const) {
  command(`ends with ${expected}: ${what}`, async () => {
    const { status, stdout, stderr } = await publish([build.manifest, ...words])
    assert.match(stderr, message)
    assert.is(status, expected)
    assert.is(stdout, '')
  })
}
command('minds a failed test, unless it is told not to', () =>
  withServer(new ImgapiStandIn(), async (url, server) => {
    await recordFor(build.manifest, 'f'.repeat(40))
    try {
      const words = [build.manifest, '--to', 'imgapi', '--url', url]
      const refused = await publish(words)
      assert.is(refused.status, 1)
      assert.match(refused.stderr, /what was tested is another file.*\n {2}Test it: .*--untested/)
      assert.equal(server.requests, [])
      const { status, stderr } = await publish([...words, '--untested'])
      assert.is(status, 0, stderr)
      assert.match(stderr, /Warning: Publishing .* untested/)
    } finally {
      await recordFor(build.manifest, build.sha1)
    }
  }),
)
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  command(`${signal} in the middle of the file: nothing is left on the server`, () =>
    withServer(new ImgapiStandIn(), async (url, server) => {
      server.plan(/^PUT/, { slow: 20 })
      const words = [build.manifest, '--to', 'imgapi', '--url', url]
      const { status, stderr } = await publish(words, {}, (child) => {
        server.atHalf = () => child.kill(signal)
      })
      assert.is(status, 130, stderr)
      assert.match(stderr, /Deleted image .* again: it was not activated/)
      assert.match(stderr, new RegExp(`Error: Interrupted by ${signal}\n$`))
      assert.equal([...server.images], [])
    }),
  )
}
command('goes through a proxy to a server with TLS, whose certificate it checks', () =>
  withServer(new ImgapiStandIn(), async (url, server) => {
    const owner = sshpk.generatePrivateKey('ecdsa')
    const host = sshpk.identityForHost('imgapi.example.com')
    const cert = sshpk.createSelfSignedCertificate(host, owner, { ca: true }).toString('pem')
    await writeFile(join(dir, 'ca.pem'), cert)
    const pem = owner.toString('pkcs8')
    const terminator = tls.createServer({ key: pem, cert }, (client) => {
      const plain = net.connect(Number(new URL(url).port), '127.0.0.1')
      client.pipe(plain).pipe(client)
      for (const one of [client, plain]) one.on('error', () => {})
    })
    const port = await listening(terminator)
    const asked: string[] = []
    const proxy = http.createServer()
    proxy.on('connect', (request, socket: net.Socket) => {
      asked.push(request.url ?? '')
      const far = net.connect(port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        socket.pipe(far).pipe(socket)
      })
      for (const one of [socket, far]) one.on('error', () => {})
    })
    const https_proxy = `http://127.0.0.1:${await listening(proxy)}`
    const words = [build.manifest, '--to', 'imgapi', '--url', 'https://imgapi.example.com']
    const trusted = { https_proxy, NODE_EXTRA_CA_CERTS: join(dir, 'ca.pem') }
    const { status, stderr } = await publish(words, trusted)
    assert.is(status, 0, stderr)
    assert.equal([...new Set(asked)], ['imgapi.example.com:443'])
    assert.is([...server.images.values()][0]!.state, 'active')
    const without = await publish(words, { https_proxy })
    assert.is(without.status, 1)
    assert.match(without.stderr, /Cannot trust imgapi\.example\.com: self-signed certificate/)
    terminator.close()
    proxy.close()
  }),
)
command.after(() => rm(dir, { recursive: true }))
command.run()
