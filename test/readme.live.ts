/**
 * README.md stays true: every command in it runs. Builds run with --dry-run here; fresh-clone.live.ts runs the
 * first two commands for real, and ci/buildbot.ts Buildbot's, with other directories. Some 80 commands start, which is a third of what all fast tests take.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { debian } from '../distros/debian.ts'
import { parseArguments } from '../lib/cli/options.ts'
import { convertImage } from '../lib/image/convert.ts'
import { inspectImage } from '../lib/image/inspect.ts'
import { imageManifest, writeManifest } from '../lib/image/manifest.ts'
import { type ImageOptions, imageOptions } from '../lib/image/image-options.ts'
import { resolveRecipe } from '../lib/image/recipe.ts'
import { makeStamp } from '../lib/image/stamp.ts'
import { lockText } from '../lib/packages/lock.ts'
import { makeKey, recordFor } from './publish/build.ts'
import { inTemporaryDir } from './temporary.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const path = join(root, 'README.md')
/** What a command prints, say. */
const FENCED = /^```[^]*?^```$/gm
const BLOCK = /(<!-- usage: (\S+) -->\n)[^]*?(<!-- end -->)/g

const readme = suite('README.md')

/** Commands in indented blocks, as `[text]`. */
const commands = [
  ...(await readFile(path, 'utf8'))
    .replaceAll(BLOCK, '')
    .replaceAll(FENCED, '')
    .matchAll(/^ {4}(\S.*)$/gm),
]
  .map(([, line]) => line!.replace(/ +#.*$/, ''))
  .filter((line) => !/^imgadm/.test(line)) // on SmartOS only

/** What each needs of time is mostly its start: some are run side by side. */
const AT_ONCE = 3
const results = new Map<string, Promise<void>>()
const waiting = [...commands]
const worker = async () => {
  for (let line = waiting.shift(); line !== undefined; line = waiting.shift()) {
    const result = inTemporaryDir((dir) => tryCommand(line!, dir))
    results.set(line, result)
    await result.catch(() => {}) // its own test says so
  }
}
const workers = Promise.all(Array.from({ length: AT_ONCE }, worker))

readme('has commands', () => assert.ok(commands.length >= 10, commands.join('\n')))
for (const line of commands) {
  readme(`runs: ${line}`, async () => {
    await workers
    await results.get(line)
  })
}

/** Run it in a directory with the files that it names. */
async function tryCommand(line: string, dir: string): Promise<void> {
  const npm = /^npm (?:run )?(\S+)$/.exec(line)
  if (npm) {
    const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>
    }
    return assert.ok(scripts[npm[1]!], `package.json has a script ${npm[1]}`)
  }
  const bench = /^node lib\/cli\/launcher\.js (bench\/\S+)/.exec(line)
  if (bench) return assert.ok(existsSync(join(root, bench[1]!)))

  await writeFile(join(dir, 'my-changes.sh'), '#!/bin/sh\n')
  for (const name of ['my-archive.gpg', 'my-network.conf', 'archive.zip']) {
    await writeFile(join(dir, name), '')
  }
  await writeFile(join(dir, 'my-variables.yaml'), 'admin_description: Operators\n')
  await writeFile(join(dir, 'my-user-data'), '#cloud-config\n')
  if (line.includes('my-key')) await makeKey(dir, 'rsa', 'my-key')
  for (const name of ['data', 'my-files']) await mkdir(join(dir, name))
  await writeFile(join(dir, 'data/platform-20130506T233003Z.tgz'), '')
  // As much of an ISO image as shows that it is one.
  await writeFile(join(dir, 'installer.iso'), `${'\0'.repeat(16 * 2048 + 1)}CD001`)
  await writeFile(join(dir, 'maas.key'), 'consumer:token:secret\n')
  // As much of an image as tells its format.
  await writeFile(join(dir, 'golden.qcow2'), Buffer.from('QFI\xfb\0\0\0\x03', 'latin1'))
  const tar = Buffer.alloc(1024)
  tar.write('ustar', 257)
  await writeFile(join(dir, 'custom-cloudimg.tar.gz'), gzipSync(tar))
  if (line.includes('.lock.json')) await makeLock(join(dir, 'debian-12-20261121.lock.json'))
  const isBuild = /create-image-|build-images [^lv]/.test(line)
  if (!isBuild) await makeFiles(dir, line.includes('disk.raw my-image'))
  const script = line
    .replace('./bin/', `${root}bin/`)
    .replace(/^make /, `make -C ${root} -n `)
    .replace('/data/bits)', `${dir}/bits)`)
    .replace(/\)?$/, (end) => {
      if (line.includes('publish-image ')) return ` --dry-run${end}` // no such server is there
      if (!isBuild || line.includes('--dry-run')) return end
      return /build-images(?!.* -- )/.test(line) ? ` -- --dry-run${end}` : ` --dry-run${end}`
    })
  const { env, expected } =
    /test-image|files\.tar|hybrid-image|build-retro|check-updates|check-host|setup-build-/.test(
      line,
    )
      ? await withoutQemu(dir)
      : { env: process.env, expected: 0 }
  const child = spawn('bash', ['-c', script], {
    cwd: dir,
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr.on('data', (data: Buffer) => (stderr += data))
  const status = await new Promise((done) => child.on('close', done))
  assert.is(status, expected, stderr)
}

/** A lock of a build that was given no other options. */
async function makeLock(path: string) {
  const command = { name: 'x', summary: '', words: ['R'], options: imageOptions, examples: [] }
  const { options } = parseArguments(command, ['12'], {})
  const recipe = await resolveRecipe(debian, '12', options as ImageOptions, await makeStamp())
  const uri = 'http://mirror.example.com/pool/main/b/bash/bash_5.2_amd64.deb'
  const bash = {
    name: 'bash',
    version: '5.2',
    arch: 'amd64',
    uri,
    bytes: 1,
    sha256: 'a'.repeat(64),
  }
  await writeFile(
    path,
    lockText({
      ...{ lock: 1, distro: 'debian', release: '12', arch: 'amd64', epoch: 1700000000 },
      ...{ requested: recipe.packages, required: ['bash'], installedBytes: 1 },
      ...{ sources: [], packages: [bash], tools: {} },
    }),
  )
}

/**
 * Only Node is in $PATH: commands that start machines read their words and files, then say what the
 * host lacks. The machines themselves run in the live tests.
 */
async function withoutQemu(dir: string) {
  const bin = join(dir, 'bin-of-node-alone')
  await mkdir(bin)
  for (const [name, path] of [
    ['node', process.execPath],
    ['env', '/usr/bin/env'],
    ['bash', '/bin/bash'],
  ] as const) {
    await symlink(path, join(bin, name))
  }
  return { env: { ...process.env, PATH: bin }, expected: 3 }
}

/** The files that README's other commands work on: an image with its manifest, or a disk. */
async function makeFiles(dir: string, disk: boolean): Promise<void> {
  const raw = join(dir, 'disk.raw')
  await writeFile(raw, Buffer.alloc(1024 ** 2, 'disk'))
  if (disk) return
  const image = join(dir, 'debian-12-20261121.zfs.gz')
  await convertImage(raw, image, 8192, () => {})
  await mkdir(join(dir, 'yesterday'))
  await copyFile(image, join(dir, 'yesterday/debian-12-20261121.zfs.gz'))
  const { file, stream } = await inspectImage(image)
  const manifest = imageManifest({
    name: 'debian-12',
    version: '20261121',
    description: 'a test',
    homepage: 'https://example.com/',
    volumeBytes: 1024 ** 2,
    publishedAt: new Date(0),
    defaultUser: 'root',
    sha256: file.sha256,
    file: { sha1: file.sha1, bytes: file.bytes, datasetGuid: stream.guid },
  })
  const path = join(dir, 'debian-12-20261121.imgmanifest')
  await writeManifest(manifest, path)
  await recordFor(path, file.sha1)
}
readme.run()
