import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UsageError } from '../../lib/cli/errors.ts'
import { parseArguments } from '../../lib/cli/options.ts'
import { libvirt } from '../../lib/targets/libvirt.ts'
import { smartos } from '../../lib/targets/smartos.ts'
import {
  describeVariables,
  resolveVariables,
  variableOptions,
  variablesEnv,
} from '../../lib/targets/variables.ts'
import { errorOf, inTemporaryDir } from '../temporary.ts'

const command = {
  name: 'x',
  summary: '',
  words: [],
  options: variableOptions,
  examples: [],
} as const

const resolve = (argv: string[], target = libvirt) =>
  resolveVariables(target.name, target.variables, parseArguments(command, argv, {}).options)

/** What it refuses with, as an operator reads it. */
async function refusal(argv: string[], target = libvirt): Promise<string> {
  const error = await errorOf(async () => resolve(argv, target))
  assert.instance(error, UsageError)
  return [error.message, error.hint].filter(Boolean).join(' | ')
}

const variables = suite('resolveVariables()')
variables('has a default for each that fits its own pattern', async () => {
  const all = await resolve([])
  for (const [name, { pattern, default: usual }] of Object.entries(libvirt.variables)) {
    assert.is(all[name], usual)
    assert.match(usual, pattern, name)
  }
})
variables('takes assignments in order, and a value with = in it', async () => {
  const all = await resolve(['--var', 'route_metric=7', '--var', 'route_metric=9'])
  assert.is(all['route_metric'], '9')
  assert.is((await resolve(['--var', 'run_commands=A=1 env']))['run_commands'], 'A=1 env')
})
variables('reads a file, below the command line', async () => {
  await inTemporaryDir(async (dir) => {
    const file = join(dir, 'vars.yaml')
    await writeFile(
      file,
      'admin_user: ops\nroute_metric: 50\nssh_key_types: [rsa, ecdsa]\nautomatic_reboot: "no"\n',
    )
    const all = await resolve(['--var-file', file, '--var', 'admin_user=root2'])
    assert.is(all['admin_user'], 'root2')
    assert.is(all['route_metric'], '50')
    assert.is(all['ssh_key_types'], 'rsa,ecdsa')
    assert.is(all['automatic_reboot'], 'no')
    assert.is(all['reboot_time'], '04:00')
    await writeFile(file, '')
    assert.is((await resolve(['--var-file', file]))['admin_user'], 'admin')
  })
})
for (const [argv, expected] of [
  [['--var', 'admin_user'], /^Cannot read --var "admin_user": write NAME=VALUE$/],
  [['--var', '=x'], /^Cannot read --var "=x"/],
  [['--var', 'admin=x'], /^Unknown variable "admin" of target libvirt \| It has admin_user, /],
  [['--var', 'toString=x'], /^Unknown variable "toString"/],
  [['--var', '__proto__=x'], /^Unknown variable "__proto__"/],
  [['--var', 'admin_user=$(id)'], /^Cannot use "\$\(id\)" as admin_user: it has to be a user name/],
  [['--var', 'admin_user=a|b'], /as admin_user/],
  [['--var', 'admin_user='], /as admin_user/],
  [['--var', 'admin_description=a&b'], /as admin_description/],
  [['--var', "admin_description=it's"], /as admin_description/],
  [['--var', 'reboot_time=24:00'], /as reboot_time: it has to be a time of day/],
  [['--var', 'reboot_time=4:00'], /as reboot_time/],
  [['--var', 'automatic_reboot=true'], /as automatic_reboot: it has to be yes or no/],
  [['--var', 'route_metric=0'], /as route_metric: it has to be a whole number above zero/],
  [['--var', 'ssh_key_types=dsa'], /as ssh_key_types/],
  [['--var', 'packages=vim,,git'], /^accepted$/],
  [['--var', 'packages=Vim'], /as packages: it has to be names of packages/],
  [['--var', 'packages='], /^accepted$/],
  [['--var', 'packages=vim,git'], /^accepted$/],
  [['--var', 'interface=en* eth*'], /^accepted$/],
  [['--var', 'interface=a|b'], /as interface/],
  [['--var', 'run_commands=a\nb'], /as run_commands: it has to be one line/],
  [['--var', 'compression=xz'], /as compression/],
  [['--var-file', '/no/such'], /^Cannot read --var-file "\/no\/such": no such file/],
] as [string[], RegExp][]) {
  variables(`${argv.join(' ').replace('\n', '\\n')}: ${expected.source}`, async () => {
    if (expected.source === '^accepted$') await resolve(argv)
    else assert.match(await refusal(argv), expected)
  })
}
for (const [content, expected] of [
  ['- a\n- b\n', /it has to be lines of NAME: VALUE$/],
  ['just words\n', /it has to be lines of NAME: VALUE$/],
  ['a: {b: c}\n', /: a is no plain value$/],
  ['a: [b\n', /^Cannot read --var-file ".*vars\.yaml": \S/],
  ['nonsense: 1\n', /^Unknown variable "nonsense"/],
] as const) {
  variables(`refuses a file with ${JSON.stringify(content)}`, async () => {
    await inTemporaryDir(async (dir) => {
      const file = join(dir, 'vars.yaml')
      await writeFile(file, content)
      assert.match(await refusal(['--var-file', file]), expected)
    })
  })
}
variables('says so where a target has none', async () => {
  assert.is(
    await refusal(['--var', 'admin_user=x'], smartos),
    'Unknown variable "admin_user" of target smartos | It has none',
  )
})
variables.run()

const shown = suite('variables shown and handed on')
shown('to scripts', () => {
  assert.equal(variablesEnv({ route_metric: '7' }), { VAR_ROUTE_METRIC: '7' })
})
shown('in the usage text', () => {
  const rows = describeVariables(libvirt.variables)
  assert.is(rows.length, Object.keys(libvirt.variables).length)
  assert.ok(rows.some(([name]) => name === 'admin_user=admin'))
})
shown.run()
