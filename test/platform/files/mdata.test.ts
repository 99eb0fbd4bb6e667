/**
 * The metadata client for historic SmartOS against our metadata service: at the other end of a terminal, as in a
 * global zone, and of a socket, as in a zone.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { decodeFrame, encodeFrame } from '../../../lib/triton/frames.ts'
import { Metadata } from '../../../lib/triton/metadata.ts'
import { connectMetadata, listenMetadata } from '../../../lib/triton/service.ts'
import { MetadataSession, type SessionOptions } from '../../../lib/triton/session.ts'
import { files } from './guest.ts'

const dir = await mkdtemp(join(tmpdir(), 'hybrid-images-test-'))
await cp(join(files, 'smartdc/retro/mdata'), join(dir, 'mdata'))
for (const name of ['mdata-get', 'mdata-put', 'mdata-list', 'mdata-delete', 'other']) {
  await symlink('mdata', join(dir, name))
}
const socket = join(dir, 'socket')

type Outcome = { status: number; stdout: string; stderr: string }
type Call = { device: string; input?: string | Buffer; timeout?: number; encoding?: BufferEncoding }
function run(
  name: string,
  args: string[],
  { device, input = '', timeout, encoding = 'utf8' }: Call,
): Promise<Outcome> {
  return new Promise((done) => {
    const env = {
      PATH: process.env['PATH'],
      MDATA_DEVICE: device,
      ...(timeout !== undefined && { MDATA_TIMEOUT: String(timeout) }),
    }
    const child = execFile(
      'perl',
      ['-w', join(dir, name), ...args],
      { env, maxBuffer: 1e8, encoding },
      (error, stdout, stderr) => done({ status: error ? Number(error.code) : 0, stdout, stderr }),
    )
    child.stdin!.on('error', () => {})
    child.stdin!.end(input)
  })
}

/** A serial port; `hypervisor` is the socket that the service connects to. */
async function withPort(use: (device: string, hypervisor: string) => Promise<void>) {
  const hypervisor = join(dir, 'hypervisor')
  await rm(hypervisor, { force: true })
  const program = fileURLToPath(new URL('pty.pl', import.meta.url))
  const port = spawn('perl', [program, hypervisor], { stdio: ['pipe', 'pipe', 'inherit'] })
  try {
    const [device] = await once(createInterface(port.stdout), 'line')
    await use(String(device), hypervisor)
  } finally {
    port.stdin.end()
    await once(port, 'exit')
  }
}

const VALUES = {
  'sdc:uuid': 'an-id',
  a: 'one\ntwo\n',
  dots: '.\n..',
  empty: '',
  large: 'ö'.repeat(60_000),
  controls: String.fromCharCode(...Array.from({ length: 256 }, (_, index) => index)),
}

type Service = { metadata: Metadata; device: string }
const lines: Record<
  string,
  (options: SessionOptions, use: (service: Service) => Promise<void>) => Promise<void>
> = {
  terminal: (options, use) =>
    withPort(async (device, hypervisor) => {
      const metadata = new Metadata(VALUES)
      const service = await connectMetadata(hypervisor, metadata, options)
      await use({ metadata, device })
      await service.close()
    }),
  socket: async (options, use) => {
    const metadata = new Metadata(VALUES)
    const service = await listenMetadata(socket, metadata, options)
    try {
      await use({ metadata, device: socket })
    } finally {
      await service.close()
    }
  },
}

const reading = suite('mdata-get, mdata-list')
for (const [line, withService] of Object.entries(lines)) {
  for (const onlyV1 of [false, true]) {
    const where = `in version ${onlyV1 ? 1 : 2} over a ${line}`
    reading(`print values of all kinds, ${where}`, () =>
      withService({ onlyV1 }, async (call) => {
        const get = async (key: string) => {
          const { status, stdout, stderr } = await run('mdata-get', [key], call)
          assert.equal([status, stderr], [0, ''])
          return stdout
        }
        const got = await Promise.all(['sdc:uuid', 'a', 'dots', 'empty', 'large'].map(get))
        assert.equal(got, ['an-id\n', 'one\ntwo\n', '.\n..\n', '', `${VALUES.large}\n`])
        // Version 1 has no way to say a carriage return.
        if (!onlyV1) assert.is(await get('controls'), `${VALUES.controls}\n`)
        assert.is((await run('mdata-list', [], call)).stdout, 'a\ndots\nempty\nlarge\ncontrols\n')
      }),
    )
    reading(`exit 1 for what is not there, and name it, ${where}`, () =>
      withService({ onlyV1 }, async (call) => {
        const { status, stdout, stderr } = await run('mdata-get', ['no such'], call)
        assert.equal([status, stdout, stderr], [1, '', "No metadata for 'no such'\n"])
      }),
    )
  }
}
reading.run()

const writing = suite('mdata-put, mdata-delete')
for (const [line, withService] of Object.entries(lines)) {
  writing(`put a word, or what standard input holds, byte for byte, over a ${line}`, () =>
    withService({}, async ({ metadata, device }) => {
      assert.is((await run('mdata-put', ['key one', ' a value '], { device })).status, 0)
      assert.is(metadata.get('key one'), ' a value ')
      for (const value of ['', 'xy', VALUES.controls, VALUES.large]) {
        assert.is((await run('mdata-put', ['piped'], { device, input: value })).status, 0)
        assert.is(metadata.get('piped'), value)
      }
      assert.is((await run('mdata-delete', ['piped'], { device })).status, 0)
      assert.is(metadata.get('piped'), undefined)
    }),
  )
}
writing('change nothing in version 1, and say why', () =>
  lines['socket']!({ onlyV1: true }, async ({ metadata, device }) => {
    const { status, stderr } = await run('mdata-put', ['a', 'x'], { device })
    assert.is(status, 2)
    assert.match(stderr, /version 1/)
    assert.is((await run('mdata-delete', ['a'], { device })).status, 2)
    assert.is(metadata.get('a'), VALUES.a)
  }),
)
writing('may not touch what describes the instance', () =>
  lines['socket']!({}, async ({ device }) => {
    const { status, stderr } = await run('mdata-put', ['sdc:uuid', 'x'], { device })
    assert.is(status, 2)
    assert.match(stderr, /refused: "sdc:uuid" can not be changed/)
  }),
)
writing('refuse wrong words with 3, before they ask anybody', async () => {
  for (const [name, ...args] of [
    ['mdata-get'],
    ['mdata-get', 'a', 'b'],
    ['mdata-get', ''],
    ['mdata-list', 'a'],
    ['mdata-put'],
    ['other', 'a'],
    ['mdata-get', 'a\nb'],
  ] as [string, ...string[]][]) {
    assert.is((await run(name, args, { device: '/nowhere' })).status, 3, [name, ...args].join(' '))
  }
  assert.match(
    (await run('mdata-get', ['--help'], { device: '/nowhere' })).stdout,
    /^mdata-get KEY +print/,
  )
})
writing.run()

/** A service that behaves as told, to the bytes of each connection in turn. */
async function withPeer(
  peer: (socket: Socket, connection: number) => void,
  use: () => Promise<void>,
) {
  let connections = 0
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    sockets.add(client)
    client.on('error', () => {})
    peer(client, ++connections)
  })
  await new Promise<void>((done) => server.listen(socket, done))
  try {
    await use()
  } finally {
    for (const client of sockets) client.destroy()
    await new Promise((done) => server.close(done))
  }
}
const get = (key: string, timeout?: number) =>
  run('mdata-get', [key], { device: socket, ...(timeout !== undefined && { timeout }) })

/** Answers the greeting; what comes then goes to `answer`. */
const greeting = (client: Socket, answer: (request: string) => void) =>
  client.on('data', (data) => {
    const text = String(data)
    if (text === '\n') client.write('invalid command\n')
    else if (text.startsWith('NEGOTIATE')) client.write('V2_OK\n')
    else answer(text)
  })
const idOf = (request: string) => /[0-9a-f]{8}(?= GET)/.exec(request)![0]
const success = (id: string, value: string) =>
  encodeFrame({ id, word: 'SUCCESS', payload: Buffer.from(value) })

const binary = suite('mdata-get, mdata-put, bytes')
const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => 255 - index))
binary('that are no text come and go as they are', async () => {
  const payloads: Buffer[] = []
  await withPeer(
    (client) =>
      greeting(client, (request) => {
        const { id, word, payload } = decodeFrame(request.trimEnd())!
        payloads.push(payload!)
        const answer = word === 'GET' ? bytes : Buffer.from('OK')
        client.write(encodeFrame({ id, word: 'SUCCESS', payload: answer }))
      }),
    async () => {
      const read = await run('mdata-get', ['a'], { device: socket, encoding: 'latin1' })
      assert.is(read.stdout, `${bytes.toString('latin1')}\n`)
      assert.is((await run('mdata-put', ['a'], { device: socket, input: bytes })).status, 0)
    },
  )
  assert.is(payloads[1]!.toString(), `${btoa('a')} ${bytes.toString('base64')}`)
})
binary.run()

const faults = suite('mdata-get, a bad line')
faults('sends the frame that the protocol wants', async () => {
  let sent = ''
  await withPeer(
    (client) =>
      greeting(client, (request) => {
        sent = request
        client.write(success(idOf(request), 'x'))
      }),
    async () => assert.is((await get('test')).status, 0),
  )
  const [, id] = /^V2 21 [0-9a-f]{8} ([0-9a-f]{8}) GET dGVzdA==\n$/.exec(sent) ?? []
  assert.is(sent, encodeFrame({ id: id!, word: 'GET', payload: Buffer.from('test') }))
})
faults('gives up when nobody answers, with 10: it may be there later', () =>
  withPeer(
    () => {},
    async () => {
      const { status, stderr } = await get('a', 0.3)
      assert.is(status, 10)
      assert.match(stderr, /Cannot reach the metadata service at .*: there was no greeting/)
    },
  ),
)
faults('says the same of a port with nothing behind it', () =>
  withPort(async (device) => {
    const { status, stderr } = await run('mdata-get', ['a'], { device, timeout: 0.3 })
    assert.is(status, 10)
    assert.match(stderr, /no greeting/)
  }),
)
faults('starts again when the connection breaks, and takes no answer but its own', async () => {
  await withPeer(
    (client, connection) =>
      greeting(client, (request) => {
        if (connection < 3) return client.destroy()
        const id = idOf(request)
        const good = success(id, 'of the right answer')
        for (const wrong of [
          'garbage\n',
          'V2 5 00000000 wrong\n',
          success('00000001', 'of another'),
          good.replace(/^V2 (\d+)/, (_, length) => `V2 ${Number(length) + 1}`),
          good.replace(/^(V2 \d+ )./, '$1g'),
          good.replace(/(.)=?\n$/, 'A\n'),
        ]) {
          assert.is.not(wrong, good)
          client.write(wrong)
        }
        // In pieces, and with a terminal's end of line.
        for (const byte of good.replace('\n', '\r\n')) client.write(byte)
      }),
    async () => {
      assert.equal(await get('a'), { status: 0, stdout: 'of the right answer\n', stderr: '' })
    },
  )
})
faults('asks again when its request was lost', async () => {
  let asked = 0
  await withPeer(
    (client) =>
      greeting(client, (request) => {
        if (++asked > 1) client.write(success(idOf(request), 'at last'))
      }),
    async () => assert.is((await get('a', 0.5)).stdout, 'at last\n'),
  )
  assert.is(asked, 2)
})
faults('starts again when the service forgot the version', async () => {
  let asked = 0
  await withPeer(
    (client) =>
      greeting(client, (request) => {
        client.write(++asked > 1 ? success(idOf(request), 'known') : 'invalid command\n')
      }),
    async () => assert.is((await get('a')).stdout, 'known\n'),
  )
})
faults('is not misled by refusals of what was on the line before', async () => {
  const metadata = new Metadata(VALUES)
  await withPeer(
    (client) => {
      const session = new MetadataSession(metadata)
      // Boot menus and firmware have written to the port: their refusals come late.
      client.write('invalid command\ninvalid command\n')
      setTimeout(() => client.write('invalid command\n'), 100)
      client.on('data', (data) => client.write(session.feed(data as Buffer)))
    },
    async () => assert.is((await run('mdata-put', ['new', 'x'], { device: socket })).status, 0),
  )
  assert.is(metadata.get('new'), 'x')
})
faults('is not misled by one that comes as the answer to its greeting', async () => {
  const metadata = new Metadata(VALUES)
  await withPeer(
    (client) => {
      const session = new MetadataSession(metadata)
      client.on('data', (data) => {
        if (String(data).startsWith('NEGOTIATE')) client.write('invalid command\n')
        client.write(session.feed(data as Buffer))
      })
    },
    async () => assert.is((await run('mdata-put', ['late', 'x'], { device: socket })).status, 0),
  )
  assert.is(metadata.get('late'), 'x')
})
faults('takes a FAILURE of the greeting for version 1, and undoes the dots', async () => {
  await withPeer(
    (client) =>
      client.on('data', (data) => {
        const text = String(data)
        if (text === '\n') client.write('invalid command\n')
        else if (text.startsWith('NEGOTIATE')) client.write('FAILURE\n')
        else client.write('SUCCESS\r\n..one\r\ntwo\r\n.\r\n')
      }),
    async () => assert.is((await get('a')).stdout, '.one\ntwo\n'),
  )
})
faults('says what is missing where there is no service at all', async () => {
  const { status, stderr } = await get('a')
  assert.is(status, 2)
  assert.match(stderr, /Cannot open .*socket: No such file/)
  const file = await run('mdata-get', ['a'], { device: join(dir, 'mdata') })
  assert.is(file.status, 2)
  assert.match(file.stderr, /it is no terminal/)
})
faults('lets several have the port, one after the other', () =>
  lines['terminal']!({}, async (call) => {
    const outcomes = await Promise.all(
      Array.from({ length: 6 }, () => run('mdata-get', ['sdc:uuid'], call)),
    )
    assert.equal(
      new Set(outcomes.map(({ stdout, stderr, status }) => `${status} ${stdout}${stderr}`)),
      new Set(['0 an-id\n']),
    )
  }),
)
faults.after(() => rm(dir, { recursive: true, force: true }))
faults.run()
