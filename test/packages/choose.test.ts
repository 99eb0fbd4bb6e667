import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { joinLists, parseStanzas, parseUris } from '../../lib/packages/choose.ts'

const URIS = `Reading package lists...
'http://m/debian/pool/main/v/vim/vim-tiny_9.0.1378-2%2bdeb12u2_amd64.deb' vim-tiny_2%3a9.0.1378-2+deb12u2_amd64.deb 720000 MD5Sum:00
'http://m/security/pool/updates/main/b/bash/bash_5.2.15-2%2bb7_amd64.deb' bash_5.2.15-2+b7_amd64.deb 1490000 SHA256:00
`
const LIST = `Package: bash
Essential: yes
Priority: required
Installed-Size: 7000
Architecture: amd64
Description: a shell
 Package: not-a-field
Filename: pool/updates/main/b/bash/bash_5.2.15-2+b7_amd64.deb
SHA256: ${'a'.repeat(64)}

Package: vim-tiny
Priority: important
Installed-Size: 1720
Architecture: amd64
Filename: pool/main/v/vim/vim-tiny_9.0.1378-2+deb12u2_amd64.deb
SHA256: ${'b'.repeat(64)}
`

const choosing = suite('choosing packages')
choosing('reads what apt would fetch, with its versions as dpkg has them', () => {
  assert.equal(
    parseUris(URIS).map(({ name, version, bytes }) => [name, version, bytes]),
    [
      ['vim-tiny', '2:9.0.1378-2+deb12u2', 720000],
      ['bash', '5.2.15-2+b7', 1490000],
    ],
  )
})
choosing('takes digests and sizes from the lists, by the name of the file', () => {
  const { packages, required, installedBytes } = joinLists(parseUris(URIS), parseStanzas(LIST))
  assert.equal(
    packages.map(({ name, sha256 }) => [name, sha256[0]]),
    [
      ['bash', 'a'],
      ['vim-tiny', 'b'],
    ],
  )
  assert.equal(required, ['bash'])
  assert.is(installedBytes, 8720 * 1024)
})
choosing('refuses a package that no list has a digest of', () => {
  const without = LIST.replace(/^SHA256: a+$/m, 'MD5sum: 00')
  assert.throws(
    () => joinLists(parseUris(URIS), parseStanzas(without)),
    /Cannot pin package bash: the mirror's list has no SHA-256/,
  )
})
choosing.run()
