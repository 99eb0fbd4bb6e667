import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { Scope } from '../../lib/cli/scope.ts'
import { serveFiles } from '../../lib/host/file-server.ts'
import { inTemporaryDir } from '../temporary.ts'

/** Status and body; the path goes out as it is, which fetch() would tidy up. */
const ask = (port: number, path: string, method = 'GET') =>
  new Promise<[number, string]>((done, fail) => {
    request({ host: '127.0.0.1', port, path, method }, (answer) => {
      let body = ''
      answer.on('data', (data: Buffer) => (body += String(data)))
      answer.on('end', () => done([answer.statusCode!, body]))
    })
      .on('error', fail)
      .end()
  })

const serving = suite('serveFiles()')
serving('gives what is below the directory, and nothing else', () =>
  inTemporaryDir(async (dir) => {
    await mkdir(join(dir, 'files/sub'), { recursive: true })
    await writeFile(join(dir, 'secret'), 'secret')
    await writeFile(join(dir, 'files/a b'), 'blank')
    await writeFile(join(dir, 'files/sub/c'), 'deep')
    await symlink(join(dir, 'secret'), join(dir, 'files/out'))
    await symlink('sub/c', join(dir, 'files/in'))
    const scope = new Scope()
    const port = await serveFiles(join(dir, 'files'), scope)
    try {
      assert.equal(await ask(port, '/a%20b'), [200, 'blank'])
      assert.equal(await ask(port, '/sub/c?x=1'), [200, 'deep'])
      assert.equal(await ask(port, '/in'), [200, 'deep'])
      assert.equal(await ask(port, '/sub/c', 'HEAD'), [200, ''])
      for (const path of [
        '/',
        '/sub',
        '/none',
        '/out',
        '/../secret',
        '/%2e%2e/secret',
        '/%zz',
        '/a%00',
      ]) {
        assert.equal(await ask(port, path), [404, ''], path)
      }
      assert.equal(await ask(port, '/sub/c', 'PUT'), [405, ''])
    } finally {
      await scope.close(false)
    }
    const gone = await ask(port, '/sub/c').catch((error: Error) => error.message)
    assert.match(String(gone), /ECONNREFUSED|ECONNRESET|hang up/)
  }),
)
serving.run()
