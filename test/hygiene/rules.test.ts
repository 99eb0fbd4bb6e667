import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { LEFTOVER_NAMES, parseLeftovers } from '../../lib/hygiene/leftovers.ts'
import { findLeftovers } from '../../lib/hygiene/rules.ts'
import { clean, origin, plants, systemOf, type Tree } from './plants.ts'

const find = (tree: Tree) => findLeftovers(systemOf(tree), origin)

const rules = suite('findLeftovers()')
rules('finds nothing in a clean system', () => assert.equal(find(clean), []))
for (const { name, tree, shows } of plants) {
  const [path] = Object.keys(tree)
  rules(`finds ${name} and nothing else: ${path}, ${shows}`, () => {
    const found = find({ ...clean, ...tree })
    assert.equal(
      found.map((finding) => finding.name),
      [name],
      JSON.stringify(found),
    )
    assert.match(found[0]!.evidence, shows)
  })
}
rules('has a plant for every name of files', () => {
  const planted = new Set(plants.map(({ name }) => name))
  assert.equal(
    LEFTOVER_NAMES.filter((name) => !planted.has(name)),
    ['unread', 'secrets'],
  )
})
rules('names the first few of many', () => {
  const many = Object.fromEntries([1, 2, 3, 4, 5].map((n) => [`/var/log/${n}.log`, 'x']))
  assert.equal(
    find({ ...clean, ...many }).map(({ evidence }) => evidence),
    ['/var/log/1.log', '/var/log/2.log', '/var/log/3.log', '2 more'],
  )
})
rules('puts no password into its evidence', () => {
  const said = JSON.stringify(
    find({
      ...clean,
      '/etc/apt/sources.list': 'deb http://me:hunter22@10.0.0.1/debian x main\n',
      '/etc/shadow': 'root:$6$hunter22$x:1::::::\n',
      '/root/.netrc-url': 'http://me:hunter22@example.com/\n',
    }),
  )
  assert.match(said, /10\.0\.0\.1/)
  assert.not.match(said, /hunter22/)
})
rules('takes an example for an example', () => {
  assert.equal(find({ ...clean, '/etc/x.conf': 'url = http://user:password@host/\n' }), [])
})
rules('counts people from where the system does', () => {
  const passwd = `${clean['/etc/passwd']}old:x:500:500::/home/old:/bin/sh\n`
  const six = { ...clean, '/etc/passwd': passwd, '/etc/login.defs': 'UID_MIN 500\n' }
  assert.equal(find({ ...clean, '/etc/passwd': passwd }), [])
  assert.equal(find(six), [{ name: 'users', evidence: '/etc/passwd: old, with uid 500' }])
})
rules('calls no public server foreign where nobody knows the vendor', () => {
  const tree = { ...clean, '/etc/apt/sources.list': 'deb https://apt.example.org/ x main\n' }
  const unknown = { vendorDomains: undefined, buildHosts: [] }
  assert.equal(findLeftovers(systemOf(tree), unknown), [])
})
rules.run()

const names = suite('parseLeftovers()')
names('takes names', () => {
  assert.equal(parseLeftovers('users, authorized-keys'), ['users', 'authorized-keys'])
  assert.equal(parseLeftovers(''), [])
})
names('lists those that there are', () => {
  assert.throws(
    () => parseLeftovers('user'),
    /allow leftover "user": known are machine-id, host-name/,
  )
})
names.run()
