/**
 * The guest's set-up scripts, each in a mount name space with its own /etc, /root and /var/lib, and a
 * metadata client that answers from files. prepare-image is tested in a machine, by test-image.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { root } from '../live.ts'

const scripts = join(root, 'sdc-vmtools/linux/smartdc')

type Guest = {
  /** Metadata; a key that is not here is not found. */
  metadata?: Record<string, string>
  /** Every request ends with this status. */
  broken?: number
  /** Shell that prepares the guest, and that shows it afterwards. */
  before?: string
  after: string
}

/** What a script does to a guest: its exit status, its complaints, and what `after` prints. */
async function inGuest(script: string, guest: Guest) {
  const dir = await mkdtemp('/tmp/smartdc-')
  try {
    for (const name of ['bin', 'values', 'etc', 'root', 'lib']) await mkdir(join(dir, name))
    for (const [key, value] of Object.entries(guest.metadata ?? {})) {
      await writeFile(join(dir, 'values', key), value)
    }
    const client = join(dir, 'bin/mdata-get')
    const answer = guest.broken
      ? `exit ${guest.broken}`
      : `[ -e "${dir}/values/$1" ] || exit 1; cat "${dir}/values/$1"; echo`
    await writeFile(client, `#!/bin/sh\n${answer}\n`)
    await chmod(client, 0o755)
    // The name space is private: nothing mounted in it is seen outside.
    const steps = [
      'set -e',
      `cp -a /etc/. ${dir}/etc`,
      `mount --bind ${dir}/etc /etc; mount --bind ${dir}/root /root; mount --bind ${dir}/lib /var/lib`,
      `export PATH=${dir}/bin:$PATH`,
      guest.before ?? ':',
      `set +e; ${join(scripts, script)}; echo "status $?"`,
      guest.after,
    ]
    const { stdout, stderr, status } = spawnSync(
      'unshare',
      ['--mount', 'sh', '-c', steps.join('\n')],
      {
        encoding: 'utf8',
      },
    )
    assert.is(status, 0, stderr)
    const [, printed = '', exit, shown = ''] = /^([^]*?)status (\d+)\n([^]*)$/.exec(stdout)!
    return { exit: Number(exit), printed, shown, stderr }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

const uuid = '1a2b3c4d-7e57-4ade-a117-0123456789ab'

const hostId = suite('set-hostid')
hostId('writes the first group of the UUID', async () => {
  const { exit, shown } = await inGuest('set-hostid', {
    metadata: { 'sdc:uuid': uuid },
    after: 'hostid',
  })
  assert.equal([exit, shown], [0, '1a2b3c4d\n'])
})
hostId('refuses what is no UUID', async () => {
  const after = 'cat /etc/hostid 2>/dev/null || echo none'
  const { exit, stderr } = await inGuest('set-hostid', {
    metadata: { 'sdc:uuid': 'x$(id)' },
    after,
  })
  assert.is(exit, 1)
  assert.match(stderr, /unexpected sdc:uuid/)
})
hostId.run()

/** Accounts in the guest's /etc/shadow. */
const shadow = (...fields: string[]) =>
  `printf '%s\\n' ${fields.map((field) => `'${field}:19000:0:99999:7:::'`).join(' ')} >/etc/shadow; ` +
  `printf '%s\\n' root:x:0:0::/root:/bin/sh groot:x:1001:1001::/:/bin/sh >/etc/passwd`
const fields = `awk -F : '{ print $1, $2 ~ /^\\$/ ? "set" : $2 }' /etc/shadow`

const password = suite('set-rootpassword')
for (const locked of ['*', '!', '!!', '!*', '']) {
  password(`sets the password of a root with "${locked}"`, async () => {
    const { exit, shown } = await inGuest('set-rootpassword', {
      metadata: { root_pw: 'Correct:Horse$9 %s' },
      before: shadow(`root:${locked}`, 'groot:!'),
      after: fields,
    })
    assert.equal([exit, shown], [0, 'root set\ngroot !\n'])
  })
}
password('looks at root’s own line, not at one that holds the word', async () => {
  const { shown } = await inGuest('set-rootpassword', {
    metadata: { root_pw: 'x' },
    before: shadow('groot:$6$abc', 'root:*'),
    after: fields,
  })
  assert.is(shown, 'groot set\nroot set\n')
})
password('leaves a password that root has', async () => {
  const { exit, shown, stderr } = await inGuest('set-rootpassword', {
    metadata: { root_pw: 'x' },
    before: shadow('root:$6$mine'),
    after: `cut -d : -f 2 /etc/shadow`,
  })
  assert.equal([exit, shown], [0, '$6$mine\n'])
  assert.match(stderr, /it stays/)
})
password('does nothing without root_pw, and fails when it can not ask', async () => {
  const guest = { before: shadow('root:*'), after: fields }
  assert.equal((await inGuest('set-rootpassword', guest)).shown, 'root *\n')
  const broken = await inGuest('set-rootpassword', { ...guest, broken: 10 })
  assert.equal([broken.exit, broken.shown], [1, 'root *\n'])
})
password.run()

const keys = suite('set-root-authorized-keys')
const before = 'mkdir -m 700 /root/.ssh; echo old >/root/.ssh/authorized_keys'
const after = 'cat /root/.ssh/authorized_keys; stat -c %a /root/.ssh/authorized_keys'
keys('replaces all keys when told to', async () => {
  const metadata = { overwrite_root_akeys: 'OverWrite', root_authorized_keys: 'new one\nnew two\n' }
  const { exit, shown } = await inGuest('set-root-authorized-keys', { metadata, before, after })
  assert.equal([exit, shown], [0, 'new one\nnew two\n600\n'])
})
keys('leaves them otherwise', async () => {
  for (const metadata of [
    { root_authorized_keys: 'new' },
    { overwrite_root_akeys: 'no', root_authorized_keys: 'new' },
  ]) {
    const { exit, shown } = await inGuest('set-root-authorized-keys', { metadata, before, after })
    assert.equal([exit, shown], [0, 'old\n644\n'])
  }
})
keys('takes them all away only when the service says there are none', async () => {
  const none = { overwrite_root_akeys: 'overwrite' }
  assert.is(
    (await inGuest('set-root-authorized-keys', { metadata: none, before, after })).shown,
    '600\n',
  )
  const broken = await inGuest('set-root-authorized-keys', { broken: 10, before, after })
  assert.is(broken.shown, 'old\n644\n')
})
keys.run()

const operator = suite('run-operator-script')
operator('runs it, and passes its failure on', async () => {
  const run = (script: string) =>
    inGuest('run-operator-script', { metadata: { 'sdc:operator-script': script }, after: ':' })
  const good = await run('#!/bin/sh\necho ran as $(id -u)')
  assert.equal([good.exit, good.printed], [0, 'ran as 0\n'])
  assert.is((await run('#!/bin/sh\nexit 7')).exit, 7)
  assert.is((await run('echo without an interpreter')).printed, 'without an interpreter\n')
})
operator('leaves it to cloud-init where that serves SmartOS', async () => {
  const { exit, printed } = await inGuest('run-operator-script', {
    metadata: { 'sdc:operator-script': '#!/bin/sh\necho ran' },
    before:
      'mkdir -p /var/lib/cloud/instance; echo "DataSourceSmartOS: x" >/var/lib/cloud/instance/datasource',
    after: ':',
  })
  assert.equal([exit, printed], [0, ''])
})
operator('is content without one, and fails when it can not ask', async () => {
  assert.is((await inGuest('run-operator-script', { after: ':' })).exit, 0)
  assert.is((await inGuest('run-operator-script', { broken: 2, after: ':' })).exit, 1)
})
operator.run()

const guest = suite('triton-guest')
guest('does first-boot work once per instance', async () => {
  const { exit, shown } = await inGuest('triton-guest', {
    metadata: { 'sdc:uuid': uuid, root_pw: 'x' },
    before: shadow('root:*'),
    after: [
      `cat /var/lib/triton-guest/instance; hostid; ${fields}`,
      `rm /etc/hostid; ${join(scripts, 'triton-guest')}; [ -e /etc/hostid ] || echo not again`,
      `echo other >/var/lib/triton-guest/instance; ${join(scripts, 'triton-guest')} 2>/dev/null; hostid`,
    ].join('\n'),
  })
  assert.is(exit, 0)
  assert.is(shown, `${uuid}\n1a2b3c4d\nroot set\nnot again\n1a2b3c4d\n`)
})
guest('fails when a part fails, after all others', async () => {
  const { exit, stderr } = await inGuest('triton-guest', {
    metadata: { 'sdc:uuid': uuid, 'sdc:operator-script': '#!/bin/sh\nexit 7' },
    before: shadow('root:*'),
    after: ':',
  })
  assert.is(exit, 1)
  assert.match(stderr, /run-operator-script failed with exit status 7/)
})
guest('is content on a machine without a metadata service', async () => {
  const { exit, stderr } = await inGuest('triton-guest', { broken: 2, after: ':' })
  assert.is(exit, 0)
  assert.match(stderr, /no instance here/)
})
guest.run()
