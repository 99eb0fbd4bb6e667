/**
 * What every release's installer is told, plain and LVM: checked by the strictest reader there is, and
 * compared with what it was before (`UPDATE=1 npm test -- answers` writes that anew).
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawnSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Ajv } from 'ajv'
import addFormats from 'ajv-formats'
import { parse } from 'yaml'
import { distros } from '../../distros/all.ts'
import type { Distro } from '../../distros/distro.ts'
import { answerFiles, kernelArguments } from '../../lib/methods/installer-answers.ts'
import { autoinstallProblems } from '../../lib/methods/autoinstall.ts'
import { readKickstart } from '../../lib/methods/kickstart.ts'
import { recipeOf } from '../recipe-of.ts'

const golden = fileURLToPath(new URL('../fixtures/answers/', import.meta.url))
const recipe = (distro: Distro, ...argv: string[]) =>
  recipeOf(distro, ['--method', 'installer', ...argv])
type Media = Parameters<typeof answerFiles>[2]
const netinst: Media = { label: 'A label', files: new Set(['/images/pxeboot/vmlinuz']) }
const dvd: Media = {
  label: 'DVD',
  files: new Set(['/BaseOS/repodata/repomd.xml', '/repodata/repomd.xml']),
}

/** The answers of a recipe: the file that the operator's own would be added to. */
async function told(distro: Distro, argv: string[], medium = netinst): Promise<string> {
  const made = await recipe(distro, ...argv)
  const { ownAnswers } = distro.installer
  const file = (await answerFiles(distro, made, medium)).find(({ to }) => to === ownAnswers)!
  return (file.from as { text: string }).text
}
/** Without the set-up's archive, which has tests of its own. */
const readable = (text: string) => text.replaceAll(/^[A-Za-z0-9+/=]{200,}$/gm, 'ARCHIVE')

type Autoinstall = { packages: string[]; proxy: string; storage: { config: { type: string }[] } }
/** The installer's own schema, which is not ours to bring along: who has it names it. */
const schemaFile = process.env['AUTOINSTALL_SCHEMA']
const schemaText = schemaFile === undefined ? undefined : await readFile(schemaFile, 'utf8')
const ajv = addFormats.default(new Ajv({ strict: false }))
const schema = schemaText === undefined ? undefined : ajv.compile(JSON.parse(schemaText) as object)

const answers = suite('answers')
for (const distro of distros) {
  for (const { version } of distro.releases) {
    for (const layout of ['plain', 'lvm']) {
      const name = `${distro.name}-${version}-${layout}`
      answers(`${name}: as before`, async () => {
        const argv = [version, '--layout', layout]
        const words = kernelArguments(distro, await recipe(distro, ...argv), netinst)
        const text = `# Kernel: ${words.join(' ')}\n${readable(await told(distro, argv))}`
        const path = join(golden, `${name}.cfg`)
        if (process.env['UPDATE']) {
          await mkdir(golden, { recursive: true })
          await writeFile(path, text)
        }
        assert.is(text, await readFile(path, 'utf8'))
      })
      if (distro.installer.ownAnswers === 'user-data') {
        answers(`${name}: Ubuntu's installer can read them`, async () => {
          const text = await told(distro, [version, '--layout', layout, '--proxy', 'http://a:3128'])
          assert.equal(autoinstallProblems(text), [])
          const { autoinstall } = parse(text) as { autoinstall: Autoinstall }
          const types = autoinstall.storage.config.map(({ type }) => type)
          assert.is(types.includes('lvm_partition'), layout === 'lvm')
          for (const one of ['linux-image-virtual', 'grub-pc', 'shim-signed', 'cloud-init']) {
            assert.ok(autoinstall.packages.includes(one), one)
          }
          assert.is(autoinstall.proxy, 'http://a:3128')
          if (schema) assert.ok(schema(autoinstall), JSON.stringify(schema.errors))
        })
      }
      if (distro.installer.ownAnswers !== 'ks.cfg') continue
      answers(`${name}: an installer of Enterprise Linux can read them`, async () => {
        for (const [medium, source] of [
          [netinst, 'url'],
          [dvd, 'cdrom'],
        ] as const) {
          const { problems, commands, packages, scripts } = readKickstart(
            await told(distro, [version, '--layout', layout], medium),
          )
          assert.equal(problems, [])
          const names = commands.map(({ words }) => words[0])
          assert.ok(names.includes(source))
          assert.is(names.includes('logvol'), layout === 'lvm')
          const loaders = name.startsWith('centos-6-') ? ['grub'] : ['grub2-pc', 'shim-x64']
          for (const one of [...loaders, 'cloud-init', 'kernel']) {
            assert.ok(packages.includes(one), one)
          }
          assert.equal(
            scripts.map(({ section }) => section),
            ['pre', 'post'],
          )
          for (const { text, section } of scripts) {
            const { status, stderr } = spawnSync('sh', ['-n'], { input: text, encoding: 'utf8' })
            assert.is(status, 0, stderr)
            const marker = `JOYENT_STATUS_${section.toUpperCase()}`
            assert.ok(text.includes(`${marker}=ok`) && text.includes(`${marker}=fail`))
          }
        }
      })
    }
  }
}
answers(
  'Enterprise Linux takes packages from the mirror and through the proxy that it is given',
  async () => {
    for (const distro of distros.filter(({ installer }) => installer.ownAnswers === 'ks.cfg')) {
      const { version, repositories } = distro.releases.at(-1)!
      const text = await told(distro, [
        ...[version, '--mirror', 'http://localhost:8080/pub', '--proxy', 'http://127.0.0.1:3128'],
      ])
      const lines = text.split('\n').filter((line) => /^(url|repo) /.test(line))
      assert.is(
        lines[0],
        `url --url=http://192.168.76.2:8080/pub/${repositories!.base} --proxy=http://192.168.76.2:3128`,
      )
      assert.is(lines.length, 1 + repositories!.others.length)
      assert.ok(lines.every((line) => line.endsWith(' --proxy=http://192.168.76.2:3128')))
    }
  },
)
answers(
  'an archive of the set-up is the same for the same recipe, and unpacks to its scripts',
  async () => {
    const [rocky] = distros.filter(({ name }) => name === 'rocky')
    const pack = async () => /^[A-Za-z0-9+/=]{200,}$/m.exec(await told(rocky!, ['9']))![0]
    const one = await pack()
    await new Promise((done) => setTimeout(done, 1100))
    assert.is(await pack(), one)
    const { stdout } = spawnSync('tar', ['-tz'], {
      input: Buffer.from(one, 'base64'),
      encoding: 'utf8',
    })
    for (const name of ['./set-up', './scripts/0', './linux/install.sh', './files/0']) {
      assert.ok(stdout.split('\n').includes(name), name)
    }
  },
)
answers.run()

const definitions = suite('definitions')
for (const distro of distros) {
  definitions(`${distro.name}: media, keys, days and scripts are as they have to be`, async () => {
    assert.match(distro.name, /^[a-z]+$/)
    assert.ok(distro.homepage.startsWith('https://'))
    const { setup, cleanUp, installer } = distro
    for (const script of [...setup, cleanUp, ...installer.installed]) {
      const path = join(golden, '../../../distros', script)
      assert.is(spawnSync('sh', ['-n', path]).status, 0, script)
      assert.match(await readFile(path, 'utf8'), /^#!\/bin\/sh\n# \S[^]*^set -eu$/m)
    }
    for (const { version, endOfLife, media, cpu } of distro.releases) {
      assert.is(new Date(endOfLife).toISOString().slice(0, 10), endOfLife)
      for (const root of media.roots) assert.ok(root.startsWith('https://'), version)
      for (const print of media.key?.fingerprints ?? []) {
        assert.match(print.replaceAll(' ', ''), /^[0-9A-F]{40}$/)
      }
      assert.is(media.key === undefined, media.signature === 'none', version)
      assert.match(media.file.source, /^\^.*\$$/)
      if (/^(stream)?10$/.test(version)) assert.is(cpu, 'x86-64-v3')
    }
  })
}
definitions.run()
