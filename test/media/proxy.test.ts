import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isRefusal, proxyFor } from '../../lib/media/proxy.ts'

const P = 'http://proxy:3128'
const choosing = suite('proxyFor()')
for (const [address, env, expected] of [
  ['http://a.example/x', {}, undefined],
  ['http://a.example/x', { http_proxy: P }, P],
  ['http://a.example/x', { HTTP_PROXY: P }, undefined],
  ['https://a.example/x', { http_proxy: P }, undefined],
  ['https://a.example/x', { HTTPS_PROXY: P }, P],
  ['https://a.example/x', { ALL_PROXY: P }, P],
  ['http://a.example/x', { http_proxy: P, no_proxy: 'b.example, .example' }, undefined],
  ['http://a.example/x', { http_proxy: P, NO_PROXY: '*' }, undefined],
  ['http://a.example/x', { http_proxy: P, no_proxy: 'xample' }, P],
] as const) {
  choosing(`${address} with ${JSON.stringify(env)}: ${expected}`, () => {
    assert.is(proxyFor(address, env), expected)
  })
}
choosing.run()

const refusing = suite('isRefusal()')
refusing('is told from an answer of the server', () => {
  assert.ok(isRefusal('403', 'curl: (56) CONNECT tunnel failed, response 403'))
  assert.ok(isRefusal('000', 'curl: (22) The requested URL returned error: 407'))
  assert.not(isRefusal('200', 'curl: (22) The requested URL returned error: 404'))
  assert.not(isRefusal('000', 'curl: (7) Failed to connect to 127.0.0.1'))
})
refusing.run()
