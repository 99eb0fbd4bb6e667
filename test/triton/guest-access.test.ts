import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { chmod, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { PassThrough } from 'node:stream'
import { SerialConsole } from '../../lib/machine/console.ts'
import {
  bannerVerdict,
  consoleLogin,
  loginPrompt,
  loginRefused,
  untilLogin,
  untilSettled,
  within,
} from '../../lib/triton/guest-access.ts'
import { makeInstance } from '../../lib/triton/instance.ts'
import { inTemporaryDir } from '../temporary.ts'

const login = { port: 1, user: 'root', key: '/k' }
const image = { name: 'debian-12', version: '20261121' }

/** A stand-in for ssh: a shell script, with a directory of its own in $DIR. */
function withSsh(script: string, use: () => Promise<void>): Promise<void> {
  return inTemporaryDir(async (dir) => {
    const path = process.env['PATH']
    const ssh = join(dir, 'ssh')
    await writeFile(ssh, `#!/bin/sh\nDIR=${dir}\n${script}\n`)
    await chmod(ssh, 0o755)
    process.env['PATH'] = `${dir}${delimiter}${path}`
    try {
      await use()
    } finally {
      process.env['PATH'] = path
    }
  })
}
const message = (work: Promise<unknown>) =>
  work.then(
    () => 'no error',
    (error: Error) => error.message,
  )

const refused = suite('loginRefused()')
for (const [what, said, status, ok] of [
  ['keys only', 'root@127.0.0.1: Permission denied (publickey).', 255, true],
  ['passwords too', 'root@127.0.0.1: Permission denied (publickey,password).', 255, false],
  ['a question', 'Permission denied (publickey,keyboard-interactive).', 255, false],
  ['nobody there', 'ssh: connect to host: Connection refused', 255, false],
  ['an open door', '', 0, false],
] as const) {
  refused(`${ok ? 'accepts' : 'does not accept'} ${what}`, () =>
    withSsh(`echo '${said}' >&2; exit ${status}`, async () => {
      assert.is((await loginRefused(login)).ok, ok)
    }),
  )
}
refused.run()

const until = suite('untilLogin()')
until('tries until the server is there', () =>
  withSsh('[ -e $DIR/up ] || { : >$DIR/up; exit 255; }; echo root', async () => {
    assert.match(await untilLogin(login, 30, () => true), /attempt 2, root there/)
  }),
)
until('gives up at once when the machine has ended', () =>
  withSsh('echo "Connection closed" >&2; exit 255', async () => {
    assert.match(await message(untilLogin(login, 30, () => false)), /has ended: Connection closed/)
  }),
)
until('gives up when the time is up, with ssh’s words', () =>
  withSsh('echo "Connection refused" >&2; exit 255', async () => {
    const text = await message(untilLogin(login, 1, () => true))
    assert.match(text, /not within 1 s: Connection refused/)
  }),
)
until('does not go on where the key is refused', () =>
  withSsh('echo "Permission denied (publickey)." >&2; exit 255', async () => {
    assert.match(await message(untilLogin(login, 60, () => true)), /^Permission denied/)
  }),
)
until.run()

const settled = suite('untilSettled()')
settled('asks again where the server was restarted', () =>
  withSsh(
    '[ -e $DIR/up ] || { : >$DIR/up; echo "Connection closed" >&2; exit 255; }; echo running; echo 9 s',
    async () => assert.is(await untilSettled(login, 30, () => true), 'running: 9 s'),
  ),
)
settled('has what a guest says where not all has begun well', () =>
  withSsh('echo degraded; exit 1', async () =>
    assert.is(await untilSettled(login, 30, () => true), 'degraded'),
  ),
)
settled('gives up at once when the machine has ended', () =>
  withSsh('echo "Connection closed" >&2; exit 255', async () => {
    const text = await message(untilSettled(login, 30, () => false))
    assert.match(text, /has ended: Connection closed/)
  }),
)
settled('gives up when the time is up, with ssh’s words', () =>
  withSsh('echo "Connection refused" >&2; exit 255', async () => {
    const text = await message(untilSettled(login, 1, () => true))
    assert.match(text, /not within 1 s: Connection refused/)
  }),
)
settled('gives up when the time is up, of a guest that says nothing', () =>
  withSsh('exec sleep 3', async () => {
    const text = await message(untilSettled(login, 1, () => true))
    assert.match(text, /did not answer within 1 s/)
  }),
)
settled.run()

const shown = suite('bannerVerdict()')
shown('wants name and version in one line', () => {
  assert.ok(bannerVerdict('\nDebian\n  Image debian-12 20261121\n', image).ok)
  assert.not(bannerVerdict('debian-12\n20261121\n', image).ok)
})
shown('reads on behind a line that a service writes into it', () => {
  const line = "[  270.033533] cloud-init[502]: Cloud-init v. 22.4.2 running 'modules:config'\n"
  assert.ok(bannerVerdict(`\nDebian\n  Image deb${line}ian-12 20261121\n`, image).ok)
  assert.ok(
    bannerVerdict(`${' '.repeat(12)}debian-12 20261121\n`, image).ok,
    'a banner in the middle',
  )
})
shown.run()

const prompt = suite('loginPrompt()')
const CLOUD = "[  270.033533] cloud-init[502]: Cloud-init v. 22.4.2 running 'modules:config'\n"
const KERNEL = '[  270.1] EXT4-fs (vda3): resized filesystem to 3636731\n'
const UNIT = '[  OK  ] Finished cloud-final.service - Execute cloud user/final scripts.\n'
const STARTING = '         Starting cloud-final.service - Execute cloud user/final scripts...\n'
for (const [what, text] of [
  ['alone', '\nweb-1 ttyS0\n\nweb-1 login: '],
  ['with a line behind it', `\nweb-1 login: ${CLOUD}`],
  ['with a line between the parts that getty writes', `\nweb-1${CLOUD} login: `],
  ['with a line of the kernel anywhere', `\nwe${KERNEL}b-1 login: `],
  ['with several lines', `\nweb-1${UNIT}${STARTING}${CLOUD} log${KERNEL}in: `],
] as const) {
  prompt(`is found ${what}`, () => {
    const match = loginPrompt('web-1').exec(text)
    assert.ok(match)
    assert.is(match[1], undefined)
  })
}
for (const [what, text, other] of [
  ['another host', '\nweb-2 login: ', 'web-2 login:'],
  ['a host whose name is longer', '\nmy-web-1 login: ', 'my-web-1 login:'],
  ['a host whose name is a part', '\nweb login: ', 'web login:'],
] as const) {
  prompt(`tells ${what}`, () => assert.is(loginPrompt('web-1').exec(text)?.[1], other))
}
prompt('is not found in lines that are no prompt', () => {
  assert.not(loginPrompt('web-1').test(`\nweb-1 ttyS0\n${UNIT}web-1${CLOUD}${CLOUD}`))
  assert.not(loginPrompt('web.1').test(`\nwebx1${CLOUD} login: `), 'a name is no pattern')
})
prompt.run()

/** A getty and a shell at the other end of the console; others write to it too. */
function terminal(motd: string, hostname = 'test-1-of-image', others = '') {
  const typed = new PassThrough()
  const console = new SerialConsole(typed)
  let step = 0
  const say = ['web login: ', 'Password: ', `\n${motd}\nroot@${hostname}:~# `].map(
    (text) => text + others,
  )
  // What is written arrives as echo as well, like on a terminal.
  typed.on('data', (data: Buffer) => {
    if (String(data).endsWith('\n') && step < say.length) typed.push(say[step++])
  })
  return console
}
const password = suite('consoleLogin()')
password('logs in, sees the message of the day and the prompt', async () => {
  const instance = { ...makeInstance(1, []), rootPassword: 'x' }
  const found = await consoleLogin(terminal('Image debian-12 20261121'), instance, image, 20)
  assert.is(found, 'Image debian-12 20261121; root@test-1-of-image:~#')
})
password('does so where services write lines to the console', async () => {
  const instance = { ...makeInstance(1, []), rootPassword: 'x' }
  const console = terminal('Image debian-12 20261121', instance.hostname, UNIT)
  const found = await consoleLogin(console, instance, image, 20)
  assert.is(found, 'Image debian-12 20261121; root@test-1-of-image:~#')
})
password('fails when the prompt has another name', async () => {
  const instance = { ...makeInstance(1, []), rootPassword: 'x' }
  const text = await message(consoleLogin(terminal('x', 'debian'), instance, image, 1))
  assert.match(text, /The prompt root@test-1-of-image:~# did not appear/)
})
password('fails when the message of the day does not name the image', async () => {
  const instance = { ...makeInstance(1, []), rootPassword: 'x' }
  const text = await message(consoleLogin(terminal('Welcome'), instance, image, 20))
  assert.match(text, /no line with "debian-12"/)
})
password.run()

const limited = suite('within()')
limited('passes results and errors on, and gives up', async () => {
  assert.is(await within(5, Promise.resolve(1)), 1)
  assert.is(await message(within(5, Promise.reject(new Error('own')))), 'own')
  assert.match(await message(within(0.05, new Promise(() => {}))), /did not answer within 0.05 s/)
})
limited.run()
