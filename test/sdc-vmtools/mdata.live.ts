/** The guest's mdata programs against our metadata service: python3 as guests have it, a socket. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { encodeFrame } from '../../lib/triton/frames.ts'
import { Metadata } from '../../lib/triton/metadata.ts'
import { listenMetadata } from '../../lib/triton/service.ts'
import { MetadataSession, type SessionOptions } from '../../lib/triton/session.ts'
import { needPackages, root } from '../live.ts'

needPackages({ '/usr/bin/python3': 'python3-minimal', mandoc: 'mandoc' })

const dir = await mkdtemp('/tmp/mdata-')
for (const name of ['mdata-get', 'mdata-put', 'mdata-list', 'mdata-delete', 'other']) {
  await symlink(join(root, 'sdc-vmtools/linux/sbin/mdata'), join(dir, name))
}
const device = join(dir, 'socket')

type Outcome = { status: number; stdout: string; stderr: string }
function run(name: string, args: string[] = [], input = ''): Promise<Outcome> {
  return new Promise((done) => {
    const env = { PATH: process.env['PATH'], MDATA_DEVICE: device }
    const child = execFile(
      join(dir, name),
      args,
      { env, maxBuffer: 1e8 },
      (error, stdout, stderr) => done({ status: error ? Number(error.code) : 0, stdout, stderr }),
    )
    child.stdin!.on('error', () => {})
    child.stdin!.end(input)
  })
}

const VALUES = {
  'sdc:uuid': 'an-id',
  a: 'one\ntwo\n',
  dots: '.\n..',
  empty: '',
  large: 'ö'.repeat(400_000),
}

async function withService(options: SessionOptions, use: (metadata: Metadata) => Promise<void>) {
  const metadata = new Metadata(VALUES)
  const service = await listenMetadata(device, metadata, options)
  try {
    await use(metadata)
  } finally {
    await service.close()
  }
}

const both = suite('mdata-*, both versions of the protocol')
for (const onlyV1 of [false, true]) {
  const version = onlyV1 ? 'version 1' : 'version 2'
  both(`reads, in ${version}`, () =>
    withService({ onlyV1 }, async () => {
      assert.equal(await run('mdata-get', ['sdc:uuid']), {
        status: 0,
        stdout: 'an-id\n',
        stderr: '',
      })
      assert.is((await run('mdata-get', ['a'])).stdout, 'one\ntwo\n')
      assert.is((await run('mdata-get', ['dots'])).stdout, '.\n..\n')
      assert.is((await run('mdata-get', ['empty'])).stdout, '')
      assert.is((await run('mdata-get', ['large'])).stdout, `${VALUES.large}\n`)
      assert.is((await run('mdata-list')).stdout, 'a\ndots\nempty\nlarge\n')
    }),
  )
  both(`exits 1 for what is not there, and names it, in ${version}`, () =>
    withService({ onlyV1 }, async () => {
      const { status, stdout, stderr } = await run('mdata-get', ['no such'])
      assert.equal([status, stdout, stderr], [1, '', "No metadata for 'no such'\n"])
    }),
  )
}
both('changes nothing in version 1, and says why', () =>
  withService({ onlyV1: true }, async (metadata) => {
    const { status, stderr } = await run('mdata-put', ['a', 'x'])
    assert.is(status, 2)
    assert.match(stderr, /version 1/)
    assert.is((await run('mdata-delete', ['a'])).status, 2)
    assert.is(metadata.get('a'), VALUES.a)
  }),
)
both.run()

const writing = suite('mdata-put, mdata-delete')
writing('put a word, or what standard input holds, byte for byte', () =>
  withService({}, async (metadata) => {
    assert.is((await run('mdata-put', ['key one', ' a value '])).status, 0)
    assert.is(metadata.get('key one'), ' a value ')
    assert.is((await run('mdata-put', ['piped'], 'line\n\nline\n')).status, 0)
    assert.is(metadata.get('piped'), 'line\n\nline\n')
    assert.is((await run('mdata-put', ['big'], VALUES.large)).status, 0)
    assert.is(metadata.get('big'), VALUES.large)
    assert.is((await run('mdata-delete', ['piped'])).status, 0)
    assert.is(metadata.get('piped'), undefined)
  }),
)
writing('may not touch what describes the instance', () =>
  withService({}, async () => {
    const { status, stderr } = await run('mdata-put', ['sdc:uuid', 'x'])
    assert.is(status, 2)
    assert.match(stderr, /refused/)
  }),
)
writing('refuse wrong words with 3, before asking anybody', async () => {
  for (const [name, ...args] of [
    ['mdata-get'],
    ['mdata-get', 'a', 'b'],
    ['mdata-get', ''],
    ['mdata-list', 'a'],
    ['mdata-put'],
    ['other', 'a'],
    ['mdata-get', 'a\nb'],
  ] as [string, ...string[]][]) {
    assert.is((await run(name, args)).status, 3, [name, ...args].join(' '))
  }
})
writing.run()

/** A service that behaves as told, to the bytes of each connection in turn. */
async function withPeer(
  peer: (socket: Socket, connection: number) => void,
  use: () => Promise<void>,
) {
  let connections = 0
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    peer(socket, ++connections)
  })
  await new Promise<void>((done) => server.listen(device, done))
  try {
    await use()
  } finally {
    for (const socket of sockets) socket.destroy()
    await new Promise((done) => server.close(done))
  }
}
const faults = suite('mdata-get, a bad line')
faults('gives up when nobody answers, with 10: it may be there later', () =>
  withPeer(
    () => {},
    async () => {
      const { status, stderr } = await run('mdata-get', ['a'])
      assert.is(status, 10)
      assert.match(stderr, /Cannot reach the metadata service .*no greeting/)
    },
  ),
)
faults('tries again when the connection breaks', async () => {
  await withPeer(
    (socket, connection) =>
      socket.on('data', (data) => {
        const text = String(data)
        if (text === '\n') socket.write('invalid command\n')
        else if (text.startsWith('NEGOTIATE')) socket.write('V2_OK\n')
        else if (connection < 3) socket.destroy()
        else {
          const [id] = /[0-9a-f]{8}(?= GET)/.exec(text)!
          socket.write(
            `garbage\nV2 5 00000000 wrong\n${encodeFrame({ id: '00000001', word: 'SUCCESS', payload: Buffer.from('of another') })}`,
          )
          socket.write(encodeFrame({ id, word: 'SUCCESS', payload: Buffer.from('right') }))
        }
      }),
    async () => {
      assert.equal(await run('mdata-get', ['a']), { status: 0, stdout: 'right\n', stderr: '' })
    },
  )
})
faults('is not misled by refusals of what was on the line before', async () => {
  const metadata = new Metadata(VALUES)
  await withPeer(
    (socket) => {
      const session = new MetadataSession(metadata)
      // Boot menus and firmware have written to the port: their refusals come late.
      socket.write('invalid command\ninvalid command\n')
      setTimeout(() => socket.write('invalid command\n'), 100)
      socket.on('data', (data) => socket.write(session.feed(data as Buffer)))
    },
    async () => assert.is((await run('mdata-put', ['new', 'x'])).status, 0),
  )
  assert.is(metadata.get('new'), 'x')
})
faults('is not misled by one that comes as the answer to its greeting', async () => {
  const metadata = new Metadata(VALUES)
  await withPeer(
    (socket) => {
      const session = new MetadataSession(metadata)
      socket.on('data', (data) => {
        if (String(data).startsWith('NEGOTIATE')) socket.write('invalid command\n')
        socket.write(session.feed(data as Buffer))
      })
    },
    async () => assert.is((await run('mdata-put', ['late', 'x'])).status, 0),
  )
  assert.is(metadata.get('late'), 'x')
})
faults('says what is missing where there is no service at all', async () => {
  const { status, stderr } = await run('mdata-get', ['a'])
  assert.is(status, 2)
  assert.match(stderr, /Cannot open .*socket: /)
})
faults('serves several at once', () =>
  withService({}, async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, () => run('mdata-get', ['sdc:uuid'])),
    )
    assert.equal(
      new Set(outcomes.map(({ stdout, status }) => `${status} ${stdout}`)),
      new Set(['0 an-id\n']),
    )
  }),
)
faults.run()

const manual = suite('mdata(1)')
manual('is sound', async () => {
  const page = join(root, 'sdc-vmtools/linux/man/mdata.1')
  const { stdout, status } = await new Promise<Outcome>((done) =>
    execFile('mandoc', ['-T', 'lint', '-W', 'warning', page], (error, out, stderr) =>
      done({ status: error ? Number(error.code) : 0, stdout: out, stderr }),
    ),
  )
  assert.is(status, 0, stdout)
})
manual.after(() => rm(dir, { recursive: true, force: true }))
manual.run()
