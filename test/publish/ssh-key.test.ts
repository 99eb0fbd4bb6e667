import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { generateKeyPairSync, verify } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { findSigningKey } from '../../lib/publish/ssh-key.ts'
import { refusal } from '../refusal.ts'
import { inTemporaryDir } from '../temporary.ts'
import { makeKey } from './build.ts'

const finding = suite('findSigningKey()')
finding('reads the formats that keys are in, and signs so that node verifies', () =>
  inTemporaryDir(async (dir) => {
    const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const curve = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    for (const [name, { privateKey, publicKey }, type, algorithm] of [
      ['pkcs1', pair, 'pkcs1', 'rsa-sha256'],
      ['pkcs8', pair, 'pkcs8', 'rsa-sha256'],
      ['sec1', curve, 'sec1', 'ecdsa-sha256'],
    ] as const) {
      // Not every type fits every kind: those of the table do.
      const pem = privateKey.export({ type: type as 'pkcs8', format: 'pem' })
      await writeFile(join(dir, name), pem)
      const key = await findSigningKey(join(dir, name), {})
      const signed = await key.sign('date: today')
      assert.is(signed.algorithm, algorithm)
      const bytes = Buffer.from(signed.signature, 'base64')
      assert.ok(verify('sha256', Buffer.from('date: today'), publicKey, bytes), name)
    }
  }),
)
finding('takes a file below ~, and its public half', () =>
  inTemporaryDir(async (dir) => {
    const key = await makeKey(dir, 'ed25519')
    const env = { HOME: dir }
    assert.is((await findSigningKey('~/id', env)).fingerprint, key.fingerprint)
    assert.is((await findSigningKey('~/id.pub', env)).fingerprint, key.fingerprint)
    assert.is((await (await findSigningKey('~/id', env)).sign('x')).algorithm, 'ed25519-sha512')
  }),
)
finding('finds a fingerprint in ~/.ssh, in the forms of ssh-keygen', () =>
  inTemporaryDir(async (dir) => {
    await mkdir(join(dir, '.ssh'))
    await makeKey(join(dir, '.ssh'), 'ed25519', 'a')
    const key = await makeKey(join(dir, '.ssh'), 'ed25519', 'b')
    for (const form of [key.fingerprint, `MD5:${key.fingerprint}`, key.sha256]) {
      assert.is((await findSigningKey(form, { HOME: dir })).fingerprint, key.fingerprint, form)
    }
    await rename(join(dir, '.ssh/b'), join(dir, '.ssh/c'))
    assert.match(await refusal(findSigningKey(key.sha256, { HOME: dir })), /no such file/)
  }),
)
finding('says what is wrong', () =>
  inTemporaryDir(async (dir) => {
    await writeFile(join(dir, 'text'), 'hello\n')
    await writeFile(join(dir, 'broken'), '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n')
    for (const [identity, message] of [
      ['missing', /Cannot read key ".*missing": no such file/],
      ['text', /it is no SSH key/],
      ['broken', /Cannot use key ".*broken": /],
    ] as const) {
      assert.match(await refusal(findSigningKey(join(dir, identity), {})), message)
    }
    const unknown = 'SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
    assert.match(
      await refusal(findSigningKey(unknown, { HOME: dir })),
      /Cannot find the key SHA256/,
    )
  }),
)
finding('asks nobody for a passphrase', () =>
  inTemporaryDir(async (dir) => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const cipher = { cipher: 'aes-128-cbc', passphrase: 'secret' }
    const pem = privateKey.export({ type: 'pkcs1', format: 'pem', ...cipher })
    await writeFile(join(dir, 'locked'), pem)
    const said = await refusal(findSigningKey(join(dir, 'locked'), {}))
    assert.match(said, /it has a passphrase/)
  }),
)
finding('says when there is no agent, or it is none', () =>
  inTemporaryDir(async (dir) => {
    const key = await makeKey(dir)
    const socket = join(dir, 'agent')
    const ask = () => findSigningKey(key.fingerprint, { HOME: dir, SSH_AUTH_SOCK: socket })
    assert.match(await refusal(ask()), /Cannot use the ssh agent at ".*agent": .*ENOENT/)
    const server = createServer((client) => client.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    await new Promise<void>((done) => server.listen(socket, done))
    assert.match(await refusal(ask()), /it is no ssh agent/)
    server.close()
  }),
)
finding('keeps the key to itself', () =>
  inTemporaryDir(async (dir) => {
    const key = await makeKey(dir)
    const shown = JSON.stringify(await findSigningKey(key.path, {}))
    assert.is(Object.keys(JSON.parse(shown) as object).join(), 'type,fingerprint')
    assert.not.match(shown, (await readFile(key.path, 'utf8')).split('\n')[1]!)
  }),
)
finding.run()
