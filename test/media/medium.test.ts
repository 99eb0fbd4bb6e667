import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { debian } from '../../distros/debian.ts'
import { checkMedium, type Medium, readTreeinfo } from '../../lib/media/medium.ts'
import { errorOf } from '../temporary.ts'

const medium = (says: Partial<Medium>): Medium => ({
  label: '',
  files: new Set(),
  info: undefined,
  tree: undefined,
  ...says,
})
const check = (says: Partial<Medium>, identity: Parameters<typeof checkMedium>[2]) =>
  checkMedium('/a.iso', medium(says), identity, 'Some Linux 9')

const treeinfo = suite('readTreeinfo()')
treeinfo('reads family, version and architecture of [general], wherever it is', () => {
  const text =
    '[header]\nversion = 1.2\n\n[general]\narch = x86_64\nfamily = Rocky Linux\nname = Rocky Linux 9.0\nversion = 9.0\n\n[tree]\narch = aarch64\n'
  assert.is(readTreeinfo(text), 'Rocky Linux 9.0 x86_64')
  assert.is(readTreeinfo('[general]\nfamily=CentOS\nversion=7\narch=x86_64'), 'CentOS 7 x86_64')
})
treeinfo('finds nothing where there is nothing', () => {
  assert.is(readTreeinfo(''), undefined)
  assert.is(readTreeinfo('[tree]\nfamily = X\n'), undefined)
})
treeinfo.run()

const checking = suite('checkMedium()')
checking('accepts the release, and what says nothing of itself', () => {
  check({ tree: 'Some Linux 9.4 x86_64' }, { tree: /^Some Linux 9\b.* x86_64$/, label: /^x$/ })
  check({ label: 'Some-9-4' }, { tree: /^Some/, label: /^Some-9-/ })
  check({ label: 'anything' }, {})
})
checking('refuses another, with what it says of itself', async () => {
  const { message, hint } = await errorOf(async () =>
    check({ tree: 'Some Linux 8 x86_64', label: 'Some-9' }, { tree: /^Some Linux 9/, label: /9/ }),
  )
  assert.is(message, 'Cannot install Some Linux 9 from "/a.iso": it says "Some Linux 8 x86_64"')
  assert.match(hint!, /another release, distribution or architecture/)
})
checking('knows Debian’s media by their note', async () => {
  const says = (info: string) => errorOf(async () => check({ info }, debian.releases[2]!.identity!))
  for (const good of [
    'Debian GNU/Linux 13.1.0 "Trixie" - Official amd64 NETINST with firmware 20250906-10:22',
    'Debian GNU/Linux trixie mini',
  ]) {
    check({ info: good }, debian.releases[2]!.identity!)
  }
  for (const bad of [
    'Debian GNU/Linux 12.11.0 "Bookworm" - Official amd64 NETINST 20250517-09:51',
    'Debian GNU/Linux 13.1.0 "Trixie" - Official arm64 NETINST 20250906-10:22',
    'Ubuntu-Server 24.04.3 LTS "Noble Numbat" - Release amd64 (20250805.1)',
  ]) {
    assert.match((await says(bad)).message, /^Cannot install/)
  }
})
checking.run()
