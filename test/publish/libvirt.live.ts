/** Golden images handed to a real libvirtd, by the publisher as a command of its own, run beside it. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmod, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Libvirtd, startLibvirtd } from '../libvirtd.ts'
import { needPackages, workDir } from '../live.ts'

const { dir, remove } = await workDir()
const launcher = fileURLToPath(new URL('../../lib/cli/launcher.js', import.meta.url))
const script = fileURLToPath(new URL('./publish-one.ts', import.meta.url))
const golden = join(dir, 'golden.qcow2')
const pool = join(dir, 'pool')
const small = join(dir, 'small')
const VOLUME = 'golden-20261129.qcow2'
/** Takes libvirt long enough to be interrupted. */
const large = join(dir, 'large.qcow2')

let libvirtd: Libvirtd
const words = (rest: string) => `${process.execPath} ${launcher} ${script} --to libvirt ${rest}`
const volumes = (name = 'default') =>
  libvirtd
    .run(`virsh -q pool-refresh ${name} >/dev/null && virsh -q vol-list ${name}`)
    .split('\n')
    .flatMap((line) => /^ *(\S+)/.exec(line)?.[1] ?? [])
const formatOf = (name: string) =>
  /<format type='(\w+)'/.exec(libvirtd.run(`virsh vol-dumpxml --pool default ${name}`))?.[1]

/** What QEMU says of the large volume as a qcow2 image, which is how an instance would have it. */
const qemuReads = () =>
  spawnSync('qemu-img', ['info', '-f', 'qcow2', join(pool, 'large-20261129.qcow2')]).status

/** The publisher as a command, stopped by a signal once libvirt has something of the volume. */
const stoppedBy = (signal: string, rest: string, name: string) => `
${words(rest)} & pid=$!
until virsh -q vol-info --bytes --pool default ${name} 2>/dev/null | grep -q 'Allocation: *[1-9]'; do kill -0 $pid || exit 1; sleep 0.05; done
kill -${signal} $pid; wait $pid; echo "ended $?"`

const publishing = suite('libvirtPublisher()')
publishing.before(async () => {
  needPackages({ 'qemu-img': 'qemu-utils', 'ssh-keygen': 'openssh-client' })
  libvirtd = await startLibvirtd(dir)
  await mkdir(pool)
  await mkdir(small)
  const raw = join(dir, 'disk.raw')
  execFileSync('sh', ['-c', `head -c 40M /dev/urandom >${raw} && truncate -s 200M ${raw}`])
  execFileSync('qemu-img', ['convert', '-c', '-O', 'qcow2', raw, golden])
  const full = ['-f', 'qcow2', '-o', 'preallocation=full']
  execFileSync('qemu-img', ['create', '-q', ...full, large, '200M'])
  for (const [name, target] of [
    ['default', pool],
    ['small', small],
  ]) {
    if (name === 'small') libvirtd.run(`mount -t tmpfs -o size=4M tmpfs ${small}`)
    libvirtd.run(
      `virsh -q pool-define-as ${name} dir --target ${target} && virsh pool-start ${name}`,
    )
  }
})

type Published = { where: string; existed: boolean; lines: string[] }
let published: Published
publishing('makes a volume of the image, byte for byte', async () => {
  published = JSON.parse(libvirtd.run(words(golden))) as Published
  assert.is(published.existed, false)
  assert.is(published.where, `vol=default/${VOLUME} at qemu:///system`)
  assert.equal(volumes(), [VOLUME])
  execFileSync('cmp', [golden, join(pool, VOLUME)])
  assert.is(formatOf(VOLUME), 'qcow2')
})
publishing('changes nothing the second time', async () => {
  const before = await stat(join(pool, VOLUME))
  const { status, stdout, stderr } = libvirtd.try(words(golden))
  assert.is(status, 0)
  assert.match(stderr, /is there already, and the same/)
  assert.equal(JSON.parse(stdout), { ...published, existed: true })
  const { ino, mtimeMs } = await stat(join(pool, VOLUME))
  assert.equal([ino, mtimeMs], [before.ino, before.mtimeMs])
})
publishing('prints lines that make an instance over it', async () => {
  const home = join(dir, 'home')
  await mkdir(join(home, '.ssh'), { recursive: true })
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(home, '.ssh/id_ed25519')])
  const [disk, install] = published.lines.map((line) => line.replace(/^[^:]*: /, ''))
  libvirtd.run(disk!)
  // What else libvirt would choose by itself is KVM, which may not work where this runs.
  libvirtd.run(`${install!} --virt-type qemu`, { HOME: home })
  assert.match(libvirtd.run('virsh domstate my-golden'), /^running/)
  assert.match(
    libvirtd.run(`virsh domblklist my-golden`),
    new RegExp(`vda +${join(pool, 'my-golden.qcow2')}`),
  )
  const info = execFileSync('qemu-img', ['info', '-U', join(pool, 'my-golden.qcow2')], {
    encoding: 'utf8',
  })
  assert.match(info, `backing file: ${join(pool, VOLUME)}`)
  libvirtd.run('virsh destroy my-golden && virsh undefine my-golden')
  libvirtd.run('virsh vol-delete --pool default my-golden.qcow2')
})
publishing('refuses another image of that name, of its size or not', async () => {
  for (const bytes of [(await stat(golden)).size, 100_000]) {
    const other = join(dir, 'other')
    await mkdir(other, { recursive: true })
    execFileSync('sh', ['-c', `yes | head -c ${bytes} >${join(other, 'golden.qcow2')}`])
    const { status, stderr } = libvirtd.try(words(join(other, 'golden.qcow2')))
    assert.is(status, 1)
    assert.match(stderr, /^Error: Cannot upload .*: another image of that name is there\n {2}\S/m)
  }
  execFileSync('cmp', [golden, join(pool, VOLUME)])
})
publishing('leaves nothing when it is interrupted', async () => {
  const said = libvirtd.run(stoppedBy('INT', large, 'large-20261129.qcow2'))
  assert.match(said, /^ended 130$/m)
  assert.equal(volumes(), [VOLUME])
  assert.equal(await readdir(pool), [VOLUME])
})
publishing(
  'leaves nothing that can be taken for an image when it is killed; then starts over',
  async () => {
    assert.match(libvirtd.run(stoppedBy('KILL', large, 'large-20261129.qcow2')), /^ended 137$/m)
    // The upload that it had begun goes on without it, to its end, or with it, as libvirt sees it.
    libvirtd.try(
      `for i in $(seq 100); do pgrep -f 'vol-upload.*large-' >/dev/null || break; sleep 0.1; done`,
    )
    assert.equal(volumes().sort(), [VOLUME, 'large-20261129.qcow2'])
    assert.is(formatOf('large-20261129.qcow2'), 'raw')
    assert.is.not(qemuReads(), 0)
    const { status, stderr } = libvirtd.try(words(large))
    assert.is(status, 0, stderr)
    assert.match(
      stderr,
      /Deleting default\/large-20261129\.qcow2: an earlier upload of it did not end/,
    )
    execFileSync('cmp', [large, join(pool, 'large-20261129.qcow2')])
    assert.is(qemuReads(), 0)
    libvirtd.run('virsh vol-delete --pool default large-20261129.qcow2')
  },
)
publishing('uploads to another host, by what ssh would run there', async () => {
  // In place of ssh: its words up to the host are dropped, and the rest is run here.
  const ssh = join(dir, 'ssh')
  await writeFile(
    ssh,
    '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift 2\nexec sh -c "$*"\n',
  )
  await chmod(ssh, 0o755)
  const remote = join(dir, 'remote.qcow2')
  execFileSync('cp', [golden, remote])
  const uri = `qemu+ssh://host.example.com/system?command=${ssh}`
  for (const existed of [false, true]) {
    const { status, stdout, stderr } = libvirtd.try(words(`${remote} --connect '${uri}'`))
    assert.is(status, 0, stderr)
    assert.is((JSON.parse(stdout) as Published).existed, existed)
  }
  execFileSync('cmp', [golden, join(pool, 'remote-20261129.qcow2')])
})
publishing('leaves nothing in a pool that is full', async () => {
  const { status, stderr } = libvirtd.try(words(`${golden} --pool small`))
  assert.is(status, 1)
  assert.match(stderr, /^Error: Cannot upload .*: .*No space left on device\n {2}Free some space/m)
  assert.equal(volumes('small'), [])
  assert.is(libvirtd.run(`ls -A ${small}`), '')
})
publishing('says what is wrong with pool and connection in one line', () => {
  libvirtd.run(`virsh -q pool-define-as stopped dir --target ${join(dir, 'home')}`)
  libvirtd.run('virsh -q pool-define-as iscsi iscsi --source-host h --source-dev d --target /dev/x')
  for (const [rest, error] of [
    ['--pool none', /: Storage pool not found: .*'none'\n {2}Choose one with --pool: virsh/],
    ['--pool stopped', /: .*'stopped' is not active\n {2}Start it: virsh/],
    ['--pool iscsi', /: pool "iscsi" is of type iscsi, which has no files\n/],
    ['--connect qemu+tcp://127.0.0.1:1/system', /: Connection refused\n {2}Does libvirt run there/],
    ['--connect nonsense', /: no connection driver available for URI 'nonsense'/],
  ] as const) {
    const { status, stderr } = libvirtd.try(words(`${golden} ${rest}`))
    assert.is(status, 1, rest)
    assert.match(stderr, error)
    assert.is(stderr.split('\n').filter((line) => line.startsWith('Error: ')).length, 1)
  }
})
publishing('puts it into the directory of a pool, where libvirt finds it', async () => {
  const path = join(dir, 'second.qcow2')
  execFileSync('cp', [golden, path])
  const { status, stdout, stderr } = libvirtd.try(words(`${path} --pool-dir ${pool}`))
  assert.is(status, 0, stderr)
  const { where } = JSON.parse(stdout) as Published
  assert.is(where, join(pool, 'second-20261129.qcow2'))
  // The list as it is, without a refresh of the test's own.
  assert.match(libvirtd.run('virsh -q vol-list default'), /second-20261129\.qcow2/)
  assert.is(formatOf('second-20261129.qcow2'), 'qcow2')
  await writeFile(path, 'other')
  assert.is(libvirtd.try(words(`${path} --pool-dir ${pool}`)).status, 1)
  execFileSync('cmp', [golden, where])
})
publishing.after(async () => {
  await libvirtd?.stop()
  await remove()
})
publishing.run()
