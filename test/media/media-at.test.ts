import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { oraclelinux } from '../../distros/oraclelinux.ts'
import { rocky } from '../../distros/rocky.ts'
import { ubuntu } from '../../distros/ubuntu.ts'
import type { Distro } from '../../distros/distro.ts'
import { mediaAt } from '../../lib/media/media-at.ts'

const of = (distro: Distro) => distro.releases.at(-1)!.media

const moved = suite('mediaAt()')
moved('without a folder: the vendor’s own', () => {
  assert.is(mediaAt(of(ubuntu), {}), of(ubuntu))
})
moved('replaces the folder, and keeps who has to sign', () => {
  const { roots, sums, signature, key } = mediaAt(of(ubuntu), { media: 'http://m/noble' })
  assert.equal(roots, ['http://m/noble/'])
  assert.is(sums, 'SHA256SUMS')
  assert.equal(signature, { beside: 'SHA256SUMS.gpg' })
  assert.is(key, of(ubuntu).key)
})
moved('names the list, and its signature after it', () => {
  const { sums, signature } = mediaAt(of(ubuntu), { media: 'http://m/', sums: 'SHA512SUMS' })
  assert.is(sums, 'SHA512SUMS')
  assert.equal(signature, { beside: 'SHA512SUMS.gpg' })
  assert.is(mediaAt(of(rocky), { media: 'http://m/', sums: 'X' }).sums, 'X')
})
moved('refuses what is of no use', () => {
  assert.throws(() => mediaAt(of(ubuntu), { sums: 'X' }), /--sums needs --media/)
  assert.throws(() => mediaAt(of(ubuntu), { media: 'http://m/', sums: '../x' }), /Cannot use list/)
  assert.throws(() => mediaAt(of(oraclelinux), { media: 'http://m/' }), /in another place/)
})
moved.run()
