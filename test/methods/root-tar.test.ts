import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { link, mkdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { rootTarWords } from '../../lib/methods/root-tar.ts'
import { inTemporaryDir } from '../temporary.ts'

const EPOCH = 1_700_000_000
const pack = (tree: string, tar: string) => {
  const [program, ...words] = rootTarWords(tree, tar, EPOCH)
  execFileSync(program!, words)
}
/** A tree in which names were made in this order. */
async function makeTree(tree: string, names: string[]): Promise<void> {
  await mkdir(join(tree, 'dev'), { recursive: true })
  await writeFile(join(tree, 'dev/null'), '')
  for (const name of names) await writeFile(join(tree, name), name)
  await link(join(tree, 'a'), join(tree, 'hard'))
  await symlink('/etc/passwd', join(tree, 'soft'))
  await utimes(join(tree, 'a'), 1000, 1000)
}

const packing = suite('rootTarWords()')
packing('keeps what curtin asks for: owners by number, ACLs, extended attributes', () => {
  const words = rootTarWords('/w/root', '/w/image.tar', EPOCH)
  for (const word of ['--numeric-owner', '--acls', '--xattrs', '--xattrs-include=*']) {
    assert.ok(words.includes(word), word)
  }
})
packing('gives the same bytes for the same tree, whenever it was made', () =>
  inTemporaryDir(async (dir) => {
    await makeTree(join(dir, 'one'), ['a', 'b', 'c'])
    await makeTree(join(dir, 'other'), ['c', 'a', 'b'])
    await readFile(join(dir, 'other/b')) // another time of access
    for (const name of ['one', 'other']) pack(join(dir, name), join(dir, `${name}.tar`))
    assert.ok((await readFile(join(dir, 'one.tar'))).equals(await readFile(join(dir, 'other.tar'))))
  }),
)
packing('has no time behind the build, no devices, and links as links', () =>
  inTemporaryDir(async (dir) => {
    await makeTree(join(dir, 'one'), ['a', 'b'])
    pack(join(dir, 'one'), join(dir, 'one.tar'))
    const list = execFileSync('tar', ['--full-time', '--utc', '-tvf', join(dir, 'one.tar')], {
      encoding: 'utf8',
    })
    assert.match(list, / 2023-11-14 22:13:20 \.\/b$/m)
    assert.match(list, / 1970-01-01 00:16:40 \.\/a$/m)
    assert.match(list, /^h.* \.\/hard link to \.\/a$/m)
    assert.match(list, /^l.* \.\/soft -> \/etc\/passwd$/m)
    assert.match(list, / \.\/dev\/$/m)
    assert.not.match(list, /dev\/null/)
  }),
)
packing.run()
