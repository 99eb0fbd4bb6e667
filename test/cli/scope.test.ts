import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { existsSync } from 'node:fs'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Scope } from '../../lib/cli/scope.ts'

const scopes = suite('Scope')
scopes('undoes in reverse order, and what is for failures only then', async () => {
  const order: string[] = []
  const undo = (name: string) => async () => order.push(name)
  const make = () => {
    const scope = new Scope()
    scope.defer('a', undo('a'))
    scope.onFailure('b', undo('b'))
    scope.defer('c', undo('c'))
    return scope
  }
  await make().close(false)
  assert.equal(order.splice(0), ['c', 'a'])
  await make().close(true)
  assert.equal(order, ['c', 'b', 'a'])
})
scopes('goes on when an undo fails', async () => {
  const order: string[] = []
  const scope = new Scope()
  scope.defer('first', async () => order.push('first'))
  scope.defer('broken', () => Promise.reject(new Error('expected in this test')))
  await scope.close(true)
  assert.equal(order, ['first'])
})
scopes('removes its temporary directories', async () => {
  const scope = new Scope()
  const dir = await scope.tempDir('scope-test')
  await writeFile(join(dir, 'x'), '')
  // What lies in there (answers, sockets of machines, keys) is nobody else's.
  assert.is((await stat(dir)).mode & 0o777, 0o700)
  await scope.close(false)
  assert.not(existsSync(dir))
})
scopes('says where a temporary directory could not be made', async () => {
  try {
    await new Scope().tempDir('x', '/no/such/dir')
    assert.unreachable()
  } catch (error) {
    assert.is(
      (error as Error).message,
      'Cannot make a temporary directory in "/no/such/dir": no such file or directory',
    )
  }
})
scopes.run()
