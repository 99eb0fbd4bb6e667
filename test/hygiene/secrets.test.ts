import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { debian } from '../../distros/debian.ts'
import { madeSecret } from '../../lib/cli/secrets.ts'
import { searchBytes } from '../../lib/hygiene/search.ts'
import { secretsIn, secretsOf } from '../../lib/hygiene/secrets.ts'
import { commonOptions, parseArguments } from '../../lib/cli/options.ts'
import { imageOptions } from '../../lib/image/image-options.ts'
import { resolveRecipe } from '../../lib/image/recipe.ts'
import { inTemporaryDir } from '../temporary.ts'

const texts = (address: string) => secretsIn('x', address).map(({ bytes }) => String(bytes))

const known = suite('secretsIn()')
known('takes an address apart, as programs keep its parts', () => {
  assert.equal(texts('http://me:s3cret%40word@proxy:3128'), [
    '//me:s3cret%40word@',
    'me:s3cret@word',
    Buffer.from('me:s3cret@word').toString('base64'),
    's3cret@word',
  ])
})
known('looks for short words and words of letters only where they are part of an address', () => {
  assert.equal(texts('http://a:b@proxy'), ['//a:b@'])
  assert.not(texts('http://me:correcthorse@proxy').includes('correcthorse'))
})
known('finds none where there is none', () => {
  for (const address of [
    'http://proxy:3128',
    'http://me@proxy',
    '/srv/a:b@c.iso',
    'http://h/a:b@c',
  ]) {
    assert.equal(texts(address), [], address)
  }
})
known.run()

const ofRecipe = suite('secretsOf()')
ofRecipe('has those of proxies, mirrors and machines', async () => {
  const command = { name: 'x', summary: '', words: ['RELEASE'], examples: [] }
  const { options } = parseArguments(
    { ...command, options: { ...imageOptions, ...commonOptions } },
    [
      ...['12', '--proxy', 'http://p:proxypass1@h:1', '--mirror', 'http://m:mirrorpass1@h/debian'],
      ...['--security-mirror', 'http://s:securitypass1@h/security'],
    ],
    {},
  )
  const stamp = { text: 'x', branch: 'x', at: new Date(0), commit: 'x' }
  const env = { https_proxy: 'http://q:securepass1@h:2' }
  const recipe = await resolveRecipe(debian, '12', options, stamp, env)
  assert.is(madeSecret('password of the screen', 'AbCdEf12'), 'AbCdEf12')
  const found = secretsOf(recipe).map(({ what, bytes }) => `${what}: ${bytes}`)
  for (const [what, text] of [
    ['proxy', '//p:proxypass1@'],
    ['proxy', 'securepass1'],
    ['mirror', 'mirrorpass1'],
    ['mirror', 'securitypass1'],
    ['screen', 'AbCdEf12'],
  ]) {
    assert.ok(found.includes(`password of the ${what}: ${text}`), text)
  }
})
ofRecipe.run()

const READ = 4 << 20
const search = suite('searchBytes()')
const secret = { what: 'x', bytes: Buffer.from('s3cret-word') }

search('finds it at the beginning, at the end, and across pieces that are read', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'disk')
    const bytes = 2 * READ + 100
    for (const at of [0, READ - 4, READ, 2 * READ - 1, bytes - secret.bytes.length]) {
      const disk = Buffer.alloc(bytes)
      secret.bytes.copy(disk, at)
      await writeFile(path, disk)
      const file = await open(path)
      const found = await searchBytes(file, [{ offset: 0, length: bytes }], [secret])
      // Extents that touch are one.
      const halves = [
        { offset: 0, length: READ },
        { offset: READ, length: bytes - READ },
      ]
      const again = await searchBytes(file, halves, [secret])
      await file.close()
      assert.equal(found, [{ secret, offset: at }])
      assert.equal(again, found)
    }
  }),
)
search('makes nothing of halves in extents that do not touch', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'disk')
    await writeFile(path, 's3cret........-word')
    const file = await open(path)
    const extents = [
      { offset: 0, length: 6 },
      { offset: 14, length: 5 },
    ]
    assert.equal(await searchBytes(file, extents, [secret]), [])
    await file.close()
  }),
)
search('says that the disk is shorter than it was', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'disk')
    await writeFile(path, 'short')
    const file = await open(path)
    const error = await searchBytes(file, [{ offset: 0, length: 9 }], [secret]).catch((e) => e)
    await file.close()
    assert.match(error.message, /ends at byte 5/)
  }),
)
search.run()
