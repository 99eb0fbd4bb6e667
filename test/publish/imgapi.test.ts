/** Publishing to an IMGAPI: against a stand-in that keeps state, verifies signatures, and refuses as the real one. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Interrupted, UsageError } from '../../lib/cli/errors.ts'
import { session } from '../../lib/cli/session.ts'
import { channelOfBranch, imgapiPublisher } from '../../lib/publish/imgapi.ts'
import { readPublication } from '../../lib/publish/publication.ts'
import { printed } from '../printed.ts'
import { refusal } from '../refusal.ts'
import { interrupted, makeBuild, makeKey, publishWith } from './build.ts'
import { ImgapiStandIn } from './imgapi-stand-in.ts'

const dir = await mkdtemp(join(tmpdir(), 'hybrid-images-test-'))
const build = await makeBuild(dir)
const key = await makeKey(dir)
const other = await makeKey(dir, 'rsa', 'other')
await mkdir(join(dir, 'home/.ssh'), { recursive: true })
await cp(key.path, join(dir, 'home/.ssh/builder_rsa'))
await cp(`${key.path}.pub`, join(dir, 'home/.ssh/builder_rsa.pub'))
const publication = await readPublication(build.manifest)
const uuid = String(publication.manifest!.content['uuid'])
const FILE = /^PUT .*\/file/
const IMPORT = /^POST .*import/
const ACTIVATE = /^POST .*activate/

type Config = ConstructorParameters<typeof ImgapiStandIn>[0]
type Given = Parameters<typeof imgapiPublisher>[0]

/** A server, and a publisher that does not wait long. */
async function withServer(
  use: (server: ImgapiStandIn, publish: () => ReturnType<typeof publishWith>) => Promise<unknown>,
  config: Config = {},
  given: Given = {},
  env: NodeJS.ProcessEnv = {},
) {
  const server = new ImgapiStandIn(config)
  const url = await server.open()
  try {
    const tuning = { pauseMs: 5, idleMs: 5000 }
    const publisher = imgapiPublisher({ url: new URL(url), ...given }, env, tuning)
    await use(server, () => publishWith(publisher, publication))
  } finally {
    await server.close()
  }
}

const methods = ({ requests }: ImgapiStandIn) => requests.map((one) => one.split(/[ ]/)[0])

const publishing = suite('imgapiPublisher()')
publishing('imports, sends, compares, activates', () =>
  withServer(async (server, publish) => {
    const { where, existed, lines } = await publish()
    const image = server.images.get(uuid)!
    assert.is(image.state, 'active')
    const { bytes: size, sha1 } = publication.image
    const { dataset_guid } = (
      publication.manifest!.content['files'] as [{ dataset_guid: string }]
    )[0]
    assert.equal(image.files, [{ sha1, size, compression: 'gzip', dataset_guid }])
    assert.is(image.manifest['name'], 'debian-12')
    assert.match(where, new RegExp(`/images/${uuid}$`))
    assert.is(existed, false)
    assert.match(lines.join('\n'), `imgadm install -m ${build.manifest} -f ${build.image}`)
    assert.match(lines.join('\n'), `sdc-imgadm import -m ${build.manifest} -f ${build.image}`)
    assert.equal(methods(server), ['GET', 'POST', 'PUT', 'POST'])
  }),
)
publishing('is not needed: sdc-imgadm imports the manifest as it is', () =>
  withServer(async (server) => {
    const body = await readFile(build.manifest)
    const arrived = await fetch(`${server.url}/images/${uuid}?action=import`, {
      method: 'POST',
      body,
    })
    assert.is(arrived.status, 200, await arrived.text())
  }),
)
publishing('finds the second time that it is there, and only asks', () =>
  withServer(async (server, publish) => {
    const first = await publish()
    const state = structuredClone(server.images)
    assert.equal(await publish(), { ...first, existed: true })
    assert.equal(server.images, state)
    assert.equal(methods(server).slice(4), ['GET'])
  }),
)
publishing('says with --dry-run what it would do, and asks nothing', () =>
  withServer(async (server, publish) => {
    session.dryRun = true
    try {
      let lines: readonly string[] = []
      const text = await printed(async () => ({ lines } = await publish()))
      assert.match(text, /ask .*\n.*import image .*\n.*send .*\n.*activate/)
      assert.match(lines.join('\n'), /imgadm install -m/)
      assert.equal(server.requests, [])
    } finally {
      session.dryRun = false
    }
  }),
)
publishing('tells progress with its rate', async () => {
  const server = new ImgapiStandIn()
  const publisher = imgapiPublisher({ url: new URL(await server.open()) }, {})
  const notes: string[] = []
  const fractions: (number | undefined)[] = []
  await publishWith(publisher, publication, (fraction, note = '') => {
    notes.push(note)
    fractions.push(fraction)
  })
  assert.match(notes.join('\n'), /^\d\.\d of 1\.\d MiB, \d+\.\d MiB\/s$/m)
  assert.is(Math.max(...fractions.map((one) => one ?? 0)), 1)
  await server.close()
})
publishing.run()

const refusing = suite('imgapiPublisher() refuses')
refusing('another file of the same uuid that is active', () =>
  withServer(async (server, publish) => {
    await publish()
    server.images.get(uuid)!.files[0]!.sha1 = 'f'.repeat(40)
    const before = structuredClone(server.images)
    assert.match(await refusal(publish()), /another file of this uuid, sha1 f{40}, not/)
    assert.equal(server.images, before)
  }),
)
refusing('an image that an operator has disabled', () =>
  withServer(async (server, publish) => {
    await publish()
    server.images.get(uuid)!.state = 'disabled'
    assert.match(await refusal(publish()), /it is there, but disabled/)
  }),
)
refusing('an image in another channel', () =>
  withServer(
    async (server, publish) => {
      await publish()
      server.images.get(uuid)!.channels = ['dev']
      assert.match(await refusal(publish()), /to channel staging: it is in dev already/)
    },
    { channels: ['dev', 'staging'] },
    { channel: 'staging' },
  ),
)
refusing('a channel that the server does not have, in its words', () =>
  withServer(
    async (server, publish) => {
      assert.match(await refusal(publish()), /422 ValidationFailed, unknown channel: nightly/)
      assert.equal([...server.images], [])
    },
    { channels: ['dev'] },
    { channel: 'nightly' },
  ),
)
refusing('files of more than 20 GiB beforehand', () =>
  withServer(async (server) => {
    const image = { ...publication.image, bytes: 20 * 1024 ** 3 + 1 }
    const publisher = imgapiPublisher({ url: new URL('http://127.0.0.1:1') }, {})
    const said = await refusal(publishWith(publisher, { ...publication, image }))
    assert.match(said, /it has 20\.0 GiB/)
    assert.equal(server.requests, [])
  }),
)
refusing('images without a manifest', async () => {
  const publisher = imgapiPublisher({ url: new URL('http://127.0.0.1:1') }, {})
  const said = await refusal(publishWith(publisher, { ...publication, manifest: undefined }))
  assert.match(said, /without its manifest/)
})
for (const [what, given, message] of [
  ['no address', {}, /needs --url URL/],
  ['a key without an account', { url: new URL('http://x'), identity: 'id' }, /needs --user NAME/],
] as const) {
  refusing(what, () => {
    assert.throws(
      () => imgapiPublisher(given, {}),
      (error: unknown) => error instanceof UsageError && message.test(error.message),
    )
  })
}
refusing.run()

const undoing = suite('imgapiPublisher() leaves nothing half-published')
for (const [what, when, fault, message] of [
  [
    '500 at the file',
    FILE,
    { status: 500, body: { code: 'InternalError', message: 'oops' } },
    /500 InternalError, oops/,
  ],
  [
    '413 of a proxy',
    FILE,
    { status: 413, body: '<html>Request Entity Too Large</html>' },
    /413, Request Entity/,
  ],
  ['a file damaged on its way', FILE, { corrupt: true }, /400 Download, "sha1" hash/],
  [
    'a wrong sha1 computed',
    FILE,
    {
      answer: JSON.stringify({ state: 'unactivated', files: [{ sha1: 'e'.repeat(40), size: 1 }] }),
    },
    /did not arrive as it was sent/,
  ],
  [
    'malformed JSON to the import',
    IMPORT,
    { answer: '{"uuid": ' },
    /answer of IMGAPI .* to AdminImportImage: status 200, but no image/,
  ],
  ['malformed JSON to the file', FILE, { answer: 'nonsense' }, /to AddImageFile/],
  ['no answer to the import', IMPORT, { drop: 'answer' }, /Lost the connection/],
  ['500 at activation', ACTIVATE, { status: 500, body: {} }, /refused POST .*: 500/],
] as const) {
  undoing(what, () =>
    withServer(async (server, publish) => {
      server.plan(when, fault)
      const text = await printed(async () => assert.match(await refusal(publish()), message))
      assert.equal([...server.images.keys()], [])
      if (when !== IMPORT) assert.match(text, /Deleted image .* again: it was not activated/)
      assert.match(server.requests.at(-1)!, /^(DELETE|GET)/)
      // And what went wrong once does not stand in the way of the next.
      await publish()
      assert.is(server.images.get(uuid)!.state, 'active')
    }),
  )
}
for (const state of ['active', 'unactivated'] as const)
  undoing(`409: another one has imported it meanwhile, and keeps it, ${state}`, () =>
    withServer(async (server, publish) => {
      await publish()
      server.images.get(uuid)!.state = state
      const theirs = structuredClone(server.images.get(uuid))
      server.plan(/^GET/, {
        status: 404,
        body: { code: 'ResourceNotFound', message: 'image not found' },
      })
      assert.match(await refusal(publish()), /it exists already, though it was not there before/)
      assert.equal(server.images.get(uuid), theirs)
      assert.not.match(server.requests.join('\n'), /^DELETE/m)
    }),
  )
undoing('Ctrl-C in the middle of the file', () =>
  withServer(async (server, publish) => {
    server.plan(FILE, { slow: 5 })
    const error = await interrupted((stop) => {
      server.atHalf = stop
      return publish()
    })
    assert.instance(error, Interrupted)
    assert.ok(server.received.some((bytes) => bytes > 0 && bytes < publication.image.bytes))
    assert.equal([...server.images], [])
  }),
)
for (const state of ['active', 'disabled'] as const)
  undoing(`Ctrl-C while it is activated: what is ${state} stays`, () =>
    withServer(async (server, publish) => {
      const error = await interrupted((stop) => {
        server.plan(ACTIVATE, { stall: 60 })
        setTimeout(function look() {
          if (!server.requests.some((one) => ACTIVATE.test(one))) return void setTimeout(look, 5)
          server.images.get(uuid)!.state = state // the server is faster than its answer
          stop()
        }, 5)
        return publish()
      })
      assert.instance(error, Interrupted)
      assert.is(server.images.get(uuid)?.state, state)
    }),
  )
undoing('a delete that fails as well is told', () =>
  withServer(async (server, publish) => {
    server.plan(FILE, { status: 500 })
    server.plan(/^DELETE/, { status: 403, body: { code: 'NotAllowed', message: 'no' } })
    const text = await printed(async () => void (await refusal(publish())))
    assert.match(text, /Warning: Delete image .* again failed: .*403 NotAllowed, no/)
  }),
)
undoing.run()

const goingOn = suite('imgapiPublisher() goes on')
goingOn('after a connection that was lost in the middle of the file', () =>
  withServer(async (server, publish) => {
    server.plan(FILE, { drop: 0.5 }, { drop: 'answer' }, { status: 503 })
    await publish()
    assert.is(server.images.get(uuid)!.state, 'active')
    assert.is(server.requests.filter((one) => FILE.test(one)).length, 4)
    assert.is(server.requests.filter((one) => IMPORT.test(one)).length, 1)
  }),
)
goingOn('but not for ever', () =>
  withServer(async (server, publish) => {
    server.plan(FILE, ...Array.from({ length: 4 }, () => ({ drop: 0.5 })))
    assert.match(await refusal(publish()), /Lost the connection to 127\.0\.0\.1:\d+: /)
    assert.equal([...server.images], [])
  }),
)
goingOn('when the answer to the activation is lost: the image tells', () =>
  withServer(async (server, publish) => {
    server.plan(ACTIVATE, { drop: 'answer' })
    assert.is((await publish()).existed, false)
    assert.is(server.images.get(uuid)!.state, 'active')
  }),
)
goingOn('where an earlier run has sent the file: it is activated', () =>
  withServer(async (server, publish) => {
    await publish()
    server.images.get(uuid)!.state = 'unactivated'
    server.requests.length = 0
    assert.is((await publish()).existed, false)
    assert.equal(methods(server), ['GET', 'POST'])
    assert.is(server.images.get(uuid)!.state, 'active')
  }),
)
goingOn('where an earlier run has only imported: deleted, and done anew', () =>
  withServer(async (server, publish) => {
    await publish()
    Object.assign(server.images.get(uuid)!, { state: 'unactivated', files: [] })
    server.requests.length = 0
    await publish()
    assert.equal(methods(server), ['GET', 'DELETE', 'POST', 'PUT', 'POST'])
    assert.is(server.images.get(uuid)!.state, 'active')
  }),
)
goingOn('with a server that is slow, and one that is busy', () =>
  withServer(async (server, publish) => {
    server.plan(/^GET/, { status: 503 }, { drop: 'answer' }, { stall: 100 })
    server.plan(FILE, { slow: 1 })
    await publish()
    assert.is(server.images.get(uuid)!.state, 'active')
  }),
)
goingOn('not with one on which nothing moves', async () => {
  const server = new ImgapiStandIn()
  const url = new URL(await server.open())
  server.plan(/^GET/, ...Array.from({ length: 4 }, () => ({ stall: 400 })))
  const publisher = imgapiPublisher({ url }, {}, { idleMs: 50, pauseMs: 1 })
  assert.match(await refusal(publishWith(publisher, publication)), /nothing moved for/)
  await server.close()
})
goingOn('not to an address where nothing is', async () => {
  const publisher = imgapiPublisher({ url: new URL('http://127.0.0.1:1') }, {}, { pauseMs: 1 })
  const said = await refusal(publishWith(publisher, publication))
  assert.match(said, /Lost the connection to 127\.0\.0\.1:1: nothing listens there/)
})
goingOn.run()

const signing = suite('imgapiPublisher() signs')
const keys = { builder: key.public }
signing('by a key file', () =>
  withServer(
    async (server, publish) => {
      await publish()
      assert.is(server.images.get(uuid)!.state, 'active')
    },
    { keys },
    { user: 'builder', identity: key.path },
  ),
)
signing('by what the environment says, in a channel', () =>
  withServer(
    async (server, publish) => {
      const { where } = await publish()
      assert.equal(server.images.get(uuid)!.channels, ['staging'])
      assert.match(where, /\?channel=staging$/)
    },
    { keys, channels: ['dev', 'staging'] },
    {},
    {
      UPDATES_IMGADM_USER: 'builder',
      UPDATES_IMGADM_IDENTITY: key.path,
      UPDATES_IMGADM_CHANNEL: 'staging',
    },
  ),
)
signing('in the channel of the branch, before that of the environment', () =>
  withServer(
    async (server, publish) => {
      await publish()
      assert.equal(server.images.get(uuid)!.channels, ['dev'])
    },
    { channels: ['staging', 'dev'] },
    { channel: 'auto' },
    { UPDATES_IMGADM_CHANNEL: 'staging' },
  ),
)
signing('by a fingerprint of ~/.ssh', () =>
  withServer(
    async (server, publish) => {
      await publish()
      assert.is(server.images.get(uuid)!.state, 'active')
    },
    { keys },
    { user: 'builder', identity: key.fingerprint },
    { HOME: join(dir, 'home') },
  ),
)
for (const [what, given] of [
  ['another key', { user: 'builder', identity: other.path }],
  ['another account', { user: 'stranger', identity: key.path }],
  ['nothing at all', {}],
] as const) {
  signing(`and is refused with ${what}: 401, no file is sent`, () =>
    withServer(
      async (server, publish) => {
        assert.match(await refusal(publish()), /401 UnauthorizedError, Unauthorized/)
        assert.equal([...server.images], [])
        assert.equal(
          server.received.filter((bytes) => bytes > 0),
          [],
        )
      },
      { keys },
      given,
    ),
  )
}
signing('with keys that IMGAPI can verify only', async () => {
  const curve = await makeKey(dir, 'ed25519', 'curve')
  const url = new URL('http://127.0.0.1:1')
  const publisher = imgapiPublisher({ url, user: 'builder', identity: curve.path }, {})
  assert.match(await refusal(publishWith(publisher, publication)), /it is an ed25519 key/)
})
signing('and shows neither key nor signature', () =>
  withServer(
    async (_, publish) => {
      session.verbose = true
      const text = await printed(publish).finally(() => (session.verbose = false))
      assert.match(text, /PUT http.*\/file/)
      assert.not.match(text, /Signature|PRIVATE/)
      assert.not.match(text, (await readFile(key.path, 'utf8')).split('\n')[2]!)
    },
    { keys },
    { user: 'builder', identity: key.path },
  ),
)
signing.run()

const channels = suite('channelOfBranch()')
channels('is the rule of bits-upload', () => {
  assert.is(channelOfBranch('release-20260508'), 'staging')
  assert.is(channelOfBranch('master'), 'dev')
  assert.is(channelOfBranch('main'), 'dev')
  assert.is(channelOfBranch('release-2026'), 'experimental')
})
channels.after(() => rm(dir, { recursive: true })) // the last suite
channels.run()
