/** Keys and signatures of a real ssh-agent: each is verified as the servers do. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import sshpk from 'sshpk'
import { findSigningKey } from '../../lib/publish/ssh-key.ts'
import { imgapiPublisher } from '../../lib/publish/imgapi.ts'
import { inTemporaryDir } from '../temporary.ts'
import { needPackages } from '../live.ts'
import { makeBuild, publishWith } from './build.ts'
import { ImgapiStandIn } from './imgapi-stand-in.ts'

needPackages({ 'ssh-agent': 'openssh-client' })

/** An agent with a key of each kind; only the public halves are left on the disk. */
async function withAgent(
  use: (dir: string, env: NodeJS.ProcessEnv, keys: Record<string, string>) => Promise<void>,
) {
  await inTemporaryDir(async (dir) => {
    const socket = join(dir, 'agent')
    await mkdir(join(dir, '.ssh'))
    const started = spawnSync('ssh-agent', ['-s', '-a', socket], { encoding: 'utf8' })
    const pid = Number(/SSH_AGENT_PID=(\d+)/.exec(started.stdout)![1])
    const env = { HOME: dir, PATH: process.env['PATH'], SSH_AUTH_SOCK: socket }
    const keys: Record<string, string> = {}
    try {
      for (const [kind, words] of [
        ['rsa', ['-b', '2048']],
        ['ecdsa', ['-b', '384']],
        ['ed25519', []],
      ] as const) {
        const path = join(dir, kind)
        spawnSync('ssh-keygen', ['-q', '-t', kind, ...words, '-N', '', '-f', path])
        const added = spawnSync('ssh-add', ['-q', path], { env, encoding: 'utf8' })
        assert.is(added.status, 0, added.stderr)
        keys[kind] = await readFile(`${path}.pub`, 'utf8')
        await rm(path)
      }
      await use(dir, env, keys)
    } finally {
      process.kill(pid)
    }
  })
}

const agent = suite('the ssh agent')
agent('signs with keys of every kind, by fingerprint and by public file', () =>
  withAgent(async (dir, env, keys) => {
    for (const [kind, text] of Object.entries(keys)) {
      const open = sshpk.parseKey(text, 'ssh')
      const path = join(dir, `${kind}.pub`)
      for (const identity of [path, open.fingerprint('sha256').toString()]) {
        const key = await findSigningKey(identity, env)
        const { algorithm, signature } = await key.sign('date: today')
        const [type, hash] = algorithm.split('-') as [string, 'sha256']
        assert.is(type, kind)
        const verifier = open.createVerify(hash)
        verifier.update('date: today')
        assert.ok(verifier.verify(signature, 'base64'), `${kind} by ${identity}`)
      }
    }
    assert.match(
      (await (await findSigningKey(join(dir, 'rsa.pub'), env)).sign('x')).algorithm,
      /^rsa-sha256$/,
    )
  }),
)
agent('stands in for a key under a passphrase', () =>
  withAgent(async (dir, env) => {
    const path = join(dir, 'locked')
    const words = ['-q', '-t', 'rsa', '-b', '2048', '-f', path]
    spawnSync('ssh-keygen', [...words, '-N', 'secret'])
    const askpass = { ...env, SSH_ASKPASS: join(dir, 'ask'), SSH_ASKPASS_REQUIRE: 'force' }
    spawnSync('sh', ['-c', `printf '#!/bin/sh\\necho secret\\n' >${dir}/ask; chmod +x ${dir}/ask`])
    const added = spawnSync('ssh-add', ['-q', path], { env: askpass, encoding: 'utf8' })
    assert.is(added.status, 0, added.stderr)
    const { algorithm } = await (await findSigningKey(path, env)).sign('x')
    assert.is(algorithm, 'rsa-sha256')
  }),
)
agent('signs what publishes to an IMGAPI', () =>
  withAgent(async (dir, env, keys) => {
    const build = await makeBuild(dir)
    const server = new ImgapiStandIn({ keys: { builder: keys['rsa']! } })
    const url = new URL(await server.open())
    const identity = join(dir, 'rsa.pub')
    await publishWith(imgapiPublisher({ url, user: 'builder', identity }, env), build.manifest)
    assert.is([...server.images.values()][0]!.state, 'active')
    await server.close()
  }),
)
agent.run()
