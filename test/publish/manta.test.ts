/** Publishing to Manta: against a stand-in that keeps state, verifies signatures, and refuses as the real one. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Interrupted, UsageError } from '../../lib/cli/errors.ts'
import { session } from '../../lib/cli/session.ts'
import { mantaPublisher } from '../../lib/publish/manta.ts'
import { readPublication } from '../../lib/publish/publication.ts'
import { printed } from '../printed.ts'
import { refusal } from '../refusal.ts'
import { interrupted, makeBuild, makeKey, publishWith, STAMP } from './build.ts'
import { MantaStandIn } from './manta-stand-in.ts'
import { digest } from './stand-in.ts'

const dir = await mkdtemp(join(tmpdir(), 'hybrid-images-test-'))
const build = await makeBuild(dir)
const key = await makeKey(dir)
const curve = await makeKey(dir, 'ed25519', 'curve')
const publication = await readPublication(build.manifest)
const dirty = await makeBuild(join(dir, 'dirty'), `${STAMP}-dirty`)
const NAMES = ['imgmanifest', 'serial.log', 'test.json', 'zfs.gz'].map(
  (ending) => `debian-12-20260508.${ending}`,
)
const PARENT = '/ops/public/builds/debian-12'
const THERE = `${PARENT}/${STAMP}`
const LIST = join(dir, 'bits/debian-12.artifacts-in-manta')
const IMAGE = /^PUT .*zfs\.gz/

type Given = Partial<Parameters<typeof mantaPublisher>[0]>

async function withServer(
  use: (
    server: MantaStandIn,
    publish: (what?: string) => ReturnType<typeof publishWith>,
  ) => Promise<unknown>,
  given: Given = {},
  env: NodeJS.ProcessEnv = {},
) {
  const server = new MantaStandIn({
    [`/ops/keys/${key.fingerprint}`]: key.public,
    [`/ops/ci/keys/${curve.fingerprint}`]: curve.public,
  })
  const url = new URL(await server.open())
  const usual = { url, user: 'ops', identity: key.path, path: '/ops/public/builds' }
  try {
    const publisher = mantaPublisher({ ...usual, ...given }, env, { pauseMs: 5, idleMs: 5000 })
    await use(server, (what) => publishWith(publisher, what ?? publication))
  } finally {
    await server.close()
  }
}

const publishing = suite('mantaPublisher()')
publishing('puts the build, its sums and lists, and points at it', () =>
  withServer(async (server, publish) => {
    const { where, existed, lines } = await publish()
    const origin = new URL(where).origin
    assert.is(where, `${origin}${THERE}`)
    assert.is(existed, false)
    const all = [...NAMES, 'artifacts.txt', 'md5sums.txt'].map((name) => `${THERE}/${name}`)
    assert.equal(server.objects(), [`${PARENT}/main-latest`, ...all].sort())
    for (const name of NAMES) {
      assert.equal(
        server.entries.get(`${THERE}/${name}`),
        await readFile(join(build.directory, name)),
      )
    }
    const sums = NAMES.map(
      (name) => `${digest('md5', server.entries.get(`${THERE}/${name}`)!)}  ${name}\n`,
    )
    assert.is(server.text(`${THERE}/md5sums.txt`), sums.join(''))
    assert.is(server.text(`${PARENT}/main-latest`), `${THERE}\n`)
    const artifacts = [
      ...NAMES.map((name) => `${THERE}/${name}`),
      `${THERE}/md5sums.txt`,
      `${PARENT}/main-latest`,
    ]
    const list = artifacts.map((path) => `${origin}${path}\n`).join('')
    assert.is(server.text(`${THERE}/artifacts.txt`), list)
    assert.is(await readFile(LIST, 'utf8'), list)
    assert.match(lines.join('\n'), `curl -fO ${where}/debian-12-20260508.zfs.gz`)
    assert.match(lines.join('\n'), 'imgadm install -m debian-12-20260508.imgmanifest -f debian-12')
  }),
)
publishing('finds the second time that it is there, and changes nothing', () =>
  withServer(async (server, publish) => {
    const first = await publish()
    const state = server.state()
    server.requests.length = 0
    assert.equal(await publish(), { ...first, existed: true })
    assert.equal(server.state(), state)
    assert.not.match(server.requests.join('\n'), /^(PUT|DELETE)/m)
  }),
)
publishing('skips what is there, sends what is not', () =>
  withServer(async (server, publish) => {
    await publish()
    server.entries.delete(`${THERE}/debian-12-20260508.serial.log`)
    server.requests.length = 0
    assert.is((await publish()).existed, false)
    assert.equal(
      server.requests.filter((one) => /^PUT/.test(one)),
      [`PUT ${THERE}/debian-12-20260508.serial.log`],
    )
  }),
)
publishing('says with --dry-run what it would do, and asks nothing', () =>
  withServer(async (server, publish) => {
    session.dryRun = true
    try {
      await rm(LIST, { force: true })
      const text = await printed(() => publish())
      assert.match(text, /put .*zfs\.gz, \d+ bytes, md5 .* to \/ops\/public/)
      assert.match(text, /point .*main-latest to/)
      assert.equal(server.requests, [])
      assert.ok((await readFile(LIST).catch(() => true)) === true)
    } finally {
      session.dryRun = false
    }
  }),
)
publishing(
  'signs as a user below the account, with an Ed25519 key, to a path that is not public',
  () =>
    withServer(
      async (server, publish) => {
        const { where, lines } = await publish()
        assert.is(where, `/ops/stor/builds/debian-12/${STAMP}`)
        assert.is(lines[0], `mget -O ${where}/debian-12-20260508.imgmanifest`)
        assert.is(server.text('/ops/stor/builds/debian-12/my-latest'), `${where}\n`)
      },
      { user: 'ops/ci', identity: curve.path, path: 'builds', branch: 'my' },
    ),
)
publishing('takes server, account and key from the environment', async () => {
  const server = new MantaStandIn({ [`/ops/keys/${key.fingerprint}`]: key.public })
  const env = {
    MANTA_URL: await server.open(),
    MANTA_USER: 'ops',
    MANTA_KEY_ID: key.path,
    MANTA_VERBOSE: '-v',
  }
  const publisher = mantaPublisher({ path: '~~/public/builds' }, env)
  const text = await printed(() => publishWith(publisher, publication))
  assert.match(text, /PUT http.*md5sums\.txt: 204/)
  assert.not.match(text, /Signature/)
  await server.close()
})
publishing.run()

const pointing = suite('mantaPublisher() renews pointers')
pointing('latest-release too of a release', () =>
  withServer(async (server, publish) => {
    const own = await makeBuild(join(dir, 'release'), 'release-20260508-20260508T120000Z-abc')
    await publish(own.manifest)
    const there = `${PARENT}/release-20260508-20260508T120000Z-abc\n`
    assert.is(server.text(`${PARENT}/latest-release`), there)
    assert.is(server.text(`${PARENT}/release-20260508-latest`), there)
    assert.match(server.text(`${there.trim()}/artifacts.txt`)!, /latest-release\n$/)
  }),
)
pointing('never back to an older build', () =>
  withServer(async (server, publish) => {
    server.entries.set('/ops/public/builds', undefined).set(PARENT, undefined)
    const newer = `${PARENT}/main-20260601T000000Z-fff\n`
    server.entries.set(`${PARENT}/main-latest`, Buffer.from(newer))
    const text = await printed(() => publish())
    assert.match(text, /points to a newer build/)
    assert.is(server.text(`${PARENT}/main-latest`), newer)
    assert.ok(server.entries.has(`${THERE}/md5sums.txt`))
  }),
)
pointing('last: where that fails the build is whole, and stays', () =>
  withServer(async (server, publish) => {
    server.plan(/^PUT .*main-latest/, { status: 500 })
    assert.match(await refusal(publish()), /The build is published, but not pointed to/)
    assert.ok(server.entries.has(`${THERE}/md5sums.txt`))
    await publish()
    assert.is(server.text(`${PARENT}/main-latest`), `${THERE}\n`)
  }),
)
pointing.run()

const refusing = suite('mantaPublisher() refuses')
refusing('a file that differs from what is there, before it sends anything', () =>
  withServer(async (server, publish) => {
    await publish()
    server.entries.set(`${THERE}/debian-12-20260508.zfs.gz`, Buffer.from('another'))
    server.entries.delete(`${THERE}/debian-12-20260508.serial.log`)
    const state = server.state()
    assert.match(
      await refusal(publish()),
      /zfs\.gz is there, and another file, with MD5 [0-9a-f]{32}/,
    )
    assert.equal(server.state(), state)
  }),
)
refusing('a build of local changes', () =>
  withServer(async (server, publish) => {
    assert.match(await refusal(publish(dirty.manifest)), /made with local changes/)
    assert.equal(server.requests, [])
  }),
)
for (const [what, given, env] of [
  ['unless forced', { force: true }, {}],
  ['unless the environment allows it', {}, { ENGBLD_BITS_UPLOAD_ALLOW_DIRTY: 'true' }],
] as const) {
  refusing(what, () =>
    withServer(
      async (server, publish) => {
        await publish(dirty.manifest)
        assert.ok(server.entries.has(`${THERE}-dirty/md5sums.txt`))
      },
      given,
      env,
    ),
  )
}
refusing('an image without a stamp, unless it is given one', async () => {
  const lonely = { ...publication, stamp: undefined }
  const given = {
    user: 'ops',
    identity: key.path,
    path: '/public/x',
    url: new URL('http://127.0.0.1:1'),
  }
  const without = publishWith(mantaPublisher(given, {}), lonely)
  assert.match(await refusal(without), /does not lie in a build's directory/)
  const wrong = publishWith(mantaPublisher({ ...given, stamp: 'x' }, {}), lonely)
  assert.match(await refusal(wrong), /--stamp "x": it is none/)
  const two = publishWith(mantaPublisher({ ...given, stamp: `x${STAMP}` }, {}), publication)
  assert.match(await refusal(two), /is not that of the build/)
})
for (const [what, given, message] of [
  ['no address', { user: 'ops', path: '/public/x' }, /needs --url/],
  ['no account', { url: new URL('http://x'), path: '/public/x' }, /needs --user/],
  ['no path', { url: new URL('http://x'), user: 'ops' }, /needs --path/],
  [
    'a path to nowhere',
    { url: new URL('http://x'), user: 'ops', path: '/public' },
    /no directory below/,
  ],
] as const) {
  refusing(what, () => {
    assert.throws(
      () => mantaPublisher(given, {}),
      (error: unknown) => error instanceof UsageError && message.test(error.message),
    )
  })
}
for (const [what, given, message] of [
  ['another key', { identity: curve.path }, /403 InvalidSignature, The signature we/],
  ['another account', { user: 'stranger', path: '/ops/stor/x' }, /403/],
  ['an account without this path', { path: '/other/stor/x' }, /404 DirectoryDoesNotExist/],
] as const) {
  refusing(`${what}, in its own words`, () =>
    withServer(async (server, publish) => {
      assert.match(await refusal(publish()), message)
      assert.equal(server.objects(), [])
    }, given),
  )
}
refusing.run()

const undoing = suite('mantaPublisher() leaves nothing half-published')
for (const [what, when, fault, message] of [
  [
    '500 at the last file',
    IMAGE,
    { status: 500, body: { code: 'InternalError', message: 'oops' } },
    /500 InternalError, oops/,
  ],
  [
    'no space',
    IMAGE,
    { status: 507, body: { code: 'NotEnoughSpace', message: 'full' } },
    /507 NotEnoughSpace, full/,
  ],
  [
    '413',
    IMAGE,
    { status: 413, body: { code: 'MaxContentLengthExceeded', message: 'too much' } },
    /413 Max/,
  ],
  ['a file damaged on its way', IMAGE, { corrupt: true }, /400 ContentMD5Mismatch/],
  ['500 at the sums', /^PUT .*md5sums/, { status: 500 }, /md5sums\.txt: 500/],
] as const) {
  undoing(what, () =>
    withServer(async (server, publish) => {
      server.plan(when, fault)
      const text = await printed(async () => assert.match(await refusal(publish()), message))
      assert.match(text, /Deleted \d files in .* again/)
      assert.equal(server.objects(), [])
      assert.equal(server.directories(), [])
      await publish()
    }),
  )
}
undoing('Ctrl-C in the middle of the image', () =>
  withServer(async (server, publish) => {
    server.plan(IMAGE, { slow: 5 })
    const error = await interrupted((stop) => {
      server.atHalf = () => server.requests.some((one) => IMAGE.test(one)) && stop()
      return publish()
    })
    assert.instance(error, Interrupted)
    assert.equal(server.objects(), [])
    assert.equal(server.directories(), [])
  }),
)
for (const what of [IMAGE, /^PUT .*md5sums/]) {
  undoing(`Ctrl-C when all of it was sent, and it is there only later: ${what.source}`, () =>
    withServer(async (server, publish) => {
      const directories = ['/ops/public/builds', PARENT, THERE]
      // Of an earlier attempt: without them what comes late would be refused.
      for (const path of directories) server.entries.set(path, undefined)
      const error = await interrupted((stop) => {
        server.plan(what, { late: 600, meanwhile: stop })
        return publish()
      })
      assert.instance(error, Interrupted)
      await delay(700) // what comes still later would be seen now
      assert.equal(server.objects(), [])
      assert.equal(server.directories(), directories)
      assert.ok(server.requests.some((one) => what.test(one)))
    }),
  )
}
undoing('what somebody else put there meanwhile stays', () =>
  withServer(async (server, publish) => {
    server.plan(IMAGE, { drop: 0.5 }, { drop: 0.5 }, { drop: 0.5 }, { drop: 0.5 })
    server.atHalf = () => server.entries.set(`${THERE}/theirs`, Buffer.from('theirs'))
    assert.ok(await refusal(publish()))
    assert.equal(server.objects(), [`${THERE}/theirs`])
  }),
)
undoing.run()

const goingOn = suite('mantaPublisher() goes on')
goingOn('after connections that were lost: the file is sent anew', () =>
  withServer(async (server, publish) => {
    server.plan(IMAGE, { drop: 0.5 }, { drop: 'answer' })
    server.plan(/^HEAD/, { status: 503 })
    await publish()
    assert.is(server.requests.filter((one) => IMAGE.test(one)).length, 3)
    assert.ok(server.entries.has(`${PARENT}/main-latest`))
  }),
)
goingOn('where another one makes the same directory', () =>
  withServer(async (server, publish) => {
    const name = basename(THERE)
    const busy = { code: 'ConcurrentRequest', message: 'was being concurrently updated' }
    server.plan(new RegExp(`^PUT .*${name}$`), {
      status: 409,
      body: busy,
      meanwhile: () => server.entries.set(THERE, undefined),
    })
    await publish()
    assert.ok(server.entries.has(`${THERE}/md5sums.txt`))
  }),
)
goingOn('and minds an object where a directory is to be', () =>
  withServer(async (server, publish) => {
    server.entries.set('/ops/public/builds', Buffer.from('object'))
    assert.match(await refusal(publish()), /there is an object of this name/)
  }),
)
goingOn.after(() => rm(dir, { recursive: true })) // the last suite
goingOn.run()
