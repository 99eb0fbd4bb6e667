/** The files for a historic SmartOS, one by one: that they can be read by what reads them there. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { globby } from 'globby'
import { files } from './guest.ts'
import { readBundle } from './smf.ts'

const read = (path: string) => readFile(join(files, path), 'utf8')
const all = (await globby('**', { cwd: files, dot: true })).sort()
const PROGRAMS = [
  'lib/svc/method/ntp',
  'lib/svc/method/retro-network',
  'lib/svc/method/retro-setup',
  'smartdc/retro/create-zone',
  'smartdc/retro/instance',
  'smartdc/retro/mdata',
]

const programs = suite('programs')
programs('are those that can be executed, and no other file is', async () => {
  const executable = []
  for (const path of all) {
    if ((await stat(join(files, path))).mode & 0o111) executable.push(path)
  }
  assert.equal(executable, PROGRAMS)
})
for (const path of PROGRAMS) {
  programs(`${path} can be read by its interpreter`, async () => {
    const [, interpreter, ...words] = /^#!(\/usr\/bin\/(?:bash|perl))( -w)?\n/.exec(
      await read(path),
    )!
    const [program, option] = interpreter!.endsWith('perl') ? ['perl', '-c'] : ['bash', '-n']
    const { status, stderr } = spawnSync(program, [option, join(files, path)], { encoding: 'utf8' })
    assert.is(status, 0, `${stderr}${words}`)
    if (program === 'perl') assert.match(stderr, /^.* syntax OK\n$/, 'no warnings either')
  })
}
programs('in perl use no modules but those that it is not without', async () => {
  for (const path of ['smartdc/retro/mdata', 'smartdc/retro/instance']) {
    const used = [...(await read(path)).matchAll(/^use (\w+)/gm)].map(([, name]) => name)
    assert.equal(
      used.filter((name) => !['strict', 'Fcntl', 'POSIX'].includes(name!)),
      [],
      path,
    )
  }
})
programs('in the shell use no options that the platform’s grep and tar are without', async () => {
  for (const path of PROGRAMS) {
    const text = await read(path)
    if (!text.startsWith('#!/usr/bin/bash')) continue
    assert.not.match(
      text,
      /grep -[a-z]*[qE]|tar [a-z]*z|\bmktemp\b|\bstat -|\breadlink\b|sed -[a-z]*[iEr]\b/,
      path,
    )
  }
})
programs.run()

const services = suite('services')
services('have manifests that SMF can read', async () => {
  for (const name of ['retro-setup', 'retro-network']) {
    const path = `lib/svc/manifest/site/${name}.xml`
    const bundle = readBundle(await read(path))
    assert.is(bundle.attributes['type'], 'manifest')
    const [service] = bundle.children
    const methods = service!.children.filter((child) => child.name === 'exec_method')
    assert.equal(
      methods.map(({ attributes }) => attributes['exec']),
      [`/lib/svc/method/${name}`, ':true'],
    )
    assert.ok(all.includes(`lib/svc/method/${name}`))
  }
})
services('begin in the order that they need', async () => {
  const fmris = async (name: string, kind: string) =>
    readBundle(await read(`lib/svc/manifest/site/${name}.xml`))
      .children[0]!.children.filter((child) => child.name === kind)
      .flatMap((child) => child.children.map(({ attributes }) => attributes['value']))
  assert.equal(await fmris('retro-setup', 'dependency'), ['svc:/system/filesystem/smartdc'])
  assert.equal(await fmris('retro-setup', 'dependent'), [
    'svc:/system/smartdc/config',
    'svc:/network/physical:default',
  ])
  assert.equal(await fmris('retro-network', 'dependency'), [
    'svc:/system/smartdc/retro-setup',
    'svc:/network/physical:default',
  ])
  assert.equal(await fmris('retro-network', 'dependent'), [
    'svc:/system/zones:default',
    'svc:/network/ipfilter:default',
  ])
})
services('without use here are switched off by the profile', async () => {
  const bundle = readBundle(await read('etc/svc/profile/site/retro.xml'))
  assert.is(bundle.attributes['type'], 'profile')
  const off = bundle.children.flatMap((service) =>
    service.children.map(({ attributes }) => {
      assert.is(attributes['enabled'], 'false')
      return `${service.attributes['name']}:${attributes['name']}`
    }),
  )
  assert.is(off.length, 15)
  assert.ok(off.includes('network/smtp:sendmail') && off.includes('system/console-login:ttyb'))
})
services('are looked at by a reader that finds what is wrong', async () => {
  const text = await read('lib/svc/manifest/site/retro-setup.xml')
  for (const [from, to, reason] of [
    ['</service>', '', /<service> is closed as <\/service_bundle>/],
    ['<single_instance/>', '<single_instanc/>', /no element single_instanc/],
    ['grouping="require_all"', 'grouping="all"', /grouping="all"/],
    [' timeout_seconds="0"', '', /<exec_method> has the attributes/],
    ['<stability value="Unstable"/>', '', undefined],
    ['<template>', 'a < b <template>', /not XML from here/],
    ['<!-- ', '<!-- -- ', /not XML from here/],
    ['<?xml version="1.0"?>', '', /not the head/],
  ] as const) {
    const changed = text.replace(from, to)
    assert.is.not(changed, text)
    if (reason) assert.throws(() => readBundle(changed), reason)
    else readBundle(changed)
  }
})
services.run()

const texts = suite('texts')
texts('of the banner have places for the stamp and the version', async () => {
  for (const path of ['etc/motd', 'etc/issue']) {
    const text = await read(path)
    assert.match(text, /build: @STAMP@\n/)
    assert.match(text, /@VERSION@/)
    assert.match(text, /S m a r t O S {3}R e t r o/)
    assert.match(text, /^[\x20-\x7e\n]*$/, 'a serial console has no other characters')
    const filled = text.replace('@STAMP@', '20130506T233003Z').replace('@VERSION@', '10.20.30')
    assert.ok(filled.split('\n').every((line) => line.length < 80))
  }
})
texts('that are placeholders are nowhere else', async () => {
  for (const path of all) {
    const found = (await read(path)).match(/@(STAMP|VERSION)@/g)
    assert.is(found !== null, ['etc/motd', 'etc/issue'].includes(path), path)
  }
})
texts('of ntp.conf answer nobody', async () => {
  const conf = await read('etc/inet/ntp.conf')
  assert.match(conf, /^disable monitor$/m)
  assert.match(conf, /^restrict default .*\bnoquery\b/m)
  assert.is(conf.match(/^server \d\.smartos\.pool\.ntp\.org iburst$/gm)?.length, 3)
})
texts.run()

const instance = suite('instance')
const ask = (what: string, input: string) =>
  spawnSync('perl', [join(files, 'smartdc/retro/instance'), what], { input, encoding: 'utf8' })
const nics = (value: unknown) => ask('nics', JSON.stringify(value)).stdout
instance('prints interfaces, the primary one first', () => {
  const one = { mac: '2:8:20:a:b:C', ip: '10.0.0.2', netmask: '255.255.240.0', gateway: '10.0.0.1' }
  const two = {
    mac: '90:b8:d0:01:02:03',
    primary: true,
    ip: '1.1.1.1',
    ips: ['10.2.0.3/17', 'dhcp', 'addrconf', 'fd00::5/64', '10.2.0.4/32', '10.2.0.3/17'],
    gateways: ['10.2.0.1'],
    mtu: 9000,
  }
  assert.is(
    nics([one, two]),
    '90:b8:d0:01:02:03 1 10.2.0.1 9000 10.2.0.3/255.255.128.0 dhcp 10.2.0.4/255.255.255.255\n' +
      '02:08:20:0a:0b:0c 0 10.0.0.1 - 10.0.0.2/255.255.240.0\n',
  )
  assert.is(nics([one]), '02:08:20:0a:0b:0c 1 10.0.0.1 - 10.0.0.2/255.255.240.0\n')
  assert.is(nics([{ mac: '2:8:20:a:b:c' }]), '02:08:20:0a:0b:0c 1 - - -\n')
})
instance('prints nothing that a shell would take for more than a word', () => {
  const mac = '02:08:20:0a:0b:0c'
  for (const evil of [
    '$(reboot)',
    '1.2.3.4; reboot',
    '1.2.3.4\n',
    '1.2.3.256',
    '1.2.3',
    ['1.2.3.4'],
    {},
  ]) {
    assert.is(
      nics([{ mac, ip: evil, ips: [evil], netmask: evil, gateway: evil, mtu: evil }]),
      `${mac} 1 - - -\n`,
      String(evil),
    )
  }
  assert.is(nics([{ mac, ips: ['1.2.3.4/33'] }]), `${mac} 1 - - -\n`)
})
instance('reads any JSON', () => {
  const text = JSON.stringify(
    [
      {
        mac: '2:8:20:a:b:c',
        note: 'a"\\/\b\f\n\r\tü]}',
        n: [-1.5e3, null, true, [], {}, [[]]],
        ip: 'dhcp',
      },
    ],
    undefined,
    2,
  )
  assert.is(ask('nics', text).stdout, '02:08:20:0a:0b:0c 1 - - dhcp\n')
  assert.is(ask('addresses', '[ "8.8.8.8", "::1", "8.8.4.4" ]').stdout, '8.8.8.8\n8.8.4.4\n')
  assert.equal([ask('addresses', '[]').status, ask('nics', '[]').status], [0, 0])
})
instance('fails, with the reason, for what is none', () => {
  for (const [text, reason] of [
    ['', /unexpected text at character 0/],
    ['[1', /a list has no end/],
    ['["a]', /a string has no end/],
    ['[{"a":1]', /an object has no end/],
    ['[{a:1}]', /a key that is no string/],
    ['[{"a" 1}]', /no colon after "a"/],
    ['[] []', /more than one value/],
    ['"x"', /it is no list/],
    ['["x"]', /an interface is no object/],
  ] as const) {
    const { status, stdout, stderr } = ask('nics', text)
    assert.equal([status, stdout], [1, ''], text)
    assert.match(stderr, reason)
  }
  assert.is(ask('others', '[]').status, 3)
})
instance.run()
