import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawn, spawnSync } from 'node:child_process'
import { mkdir, readdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { mountsBelow, removeAbandoned } from '../../lib/cli/abandoned.ts'
import { isAbandoned, ownedName } from '../../lib/cli/owned.ts'
import { inTemporaryDir } from '../temporary.ts'

/** The number of a process that has ended. */
const gone = spawnSync('true').pid
const of = (name: string, pid: number) => ownedName(name).replace(`-${process.pid}-`, `-${pid}-`)

const owned = suite('names that say whose they are')
owned('are of a process that runs, or of one that is gone', () => {
  assert.not(isAbandoned(ownedName('debian-12')))
  assert.ok(isAbandoned(of('debian-12', gone)))
  assert.ok(isAbandoned(`${of('main-20261121T000000Z-abcdef', gone)}.partial`))
})
owned('of a process that only has the number of an earlier one are nobody’s', () => {
  const earlier = ownedName('debian-12').replace(/-\d+-([0-9a-f]+)$/, '-1-$1')
  assert.ok(isAbandoned(earlier))
})
owned('of another boot or container say nothing', () => {
  const elsewhere = of('debian-12', gone).replace(/-[0-9a-f]{8}-/, '-00000000-')
  assert.not(isAbandoned(elsewhere))
  assert.not(isAbandoned('debian-12-XyZ123'))
})
owned.run()

const removing = suite('removeAbandoned()')
removing('takes away what a killed build left, with what runs in it, and nothing else', () =>
  inTemporaryDir(async (dir) => {
    const left = of('debian-12', gone)
    const others = [
      ownedName('debian-12'), // at work
      of('debian-13', gone), // somebody else's
      'debian-12-old',
    ]
    for (const name of [left, ...others])
      await mkdir(join(dir, name, 'root/tmp'), { recursive: true })
    const child = spawn('sleep', ['60'], { cwd: join(dir, left, 'root') })
    const ended = new Promise((done) => child.on('exit', (_, signal) => done(signal)))
    await new Promise((done) => child.on('spawn', done))
    await removeAbandoned(dir, 'debian-12-')
    assert.equal((await readdir(dir)).sort(), others.sort())
    assert.is(await ended, 'SIGKILL')
  }),
)
removing('does not follow a link, as another user of /tmp could have made it', () =>
  inTemporaryDir(async (dir) => {
    const left = of('debian-12', gone)
    await mkdir(join(dir, 'precious/inside'), { recursive: true })
    await symlink('precious', join(dir, left))
    await removeAbandoned(dir, 'debian-12-')
    assert.equal((await readdir(dir)).sort(), [left, 'precious'].sort())
    assert.equal(await readdir(join(dir, 'precious')), ['inside'])
  }),
)
removing('finds what is mounted in there, innermost first', () => {
  const table = [
    'tmpfs /var/tmp/debian-12-x tmpfs rw 0 0',
    'proc /var/tmp/debian-12-x/root/proc proc rw 0 0',
    'tmpfs /var/tmp/debian-12-xy tmpfs rw 0 0',
    'tmpfs /var/tmp/with\\040space tmpfs rw 0 0',
  ].join('\n')
  assert.equal(mountsBelow('/var/tmp/debian-12-x', table), [
    '/var/tmp/debian-12-x/root/proc',
    '/var/tmp/debian-12-x',
  ])
  assert.equal(mountsBelow('/var/tmp/with space', table), ['/var/tmp/with space'])
})
removing.run()
