/**
 * A made-up platform with an archive of 300 MiB to a finished image, against what the host's own programs
 * need for the parts of that work that they can do: unpack the tarball, copy the archive onto a FAT file
 * system, and compress the disk with `pigz -9` (or, as the tool of old did without pigz, `gzip -9`).
 *
 *   node lib/cli/launcher.js bench/retro.ts
 *
 * The archive holds 150 MiB that are compressed already, as usr.lgz is, 60 MiB of Debian's own programs, and
 * room.
 */
import { spawn } from 'node:child_process'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { needPackages, workDir } from '../test/live.ts'
import { makePlatform } from '../test/platform/made-up.ts'
import { Random } from '../test/random.ts'
import { measure, table, watchMemory } from './measure.ts'

const MIB = 1024 ** 2
const STAMP = '20141030T081701Z'
const build = fileURLToPath(new URL('../bin/build-retro', import.meta.url))

needPackages({
  pigz: 'pigz',
  syslinux: 'syslinux',
  '/usr/lib/syslinux/modules/bios/mboot.c32': 'syslinux-common',
  mcopy: 'mtools',
  'qemu-img': 'qemu-utils',
  'libdeflate-gzip': 'libdeflate-tools',
})
const { dir, remove } = await workDir()

/** Programs, until there is so much of them. */
async function programs(bytes: number): Promise<Buffer> {
  const { stdout } = await import('node:child_process').then(({ execFileSync }) => ({
    stdout: execFileSync('bash', ['-c', `cat /usr/bin/* 2>/dev/null | head -c ${bytes}`], {
      maxBuffer: bytes + 1,
    }),
  }))
  return stdout
}

try {
  await mkdir(join(dir, 'data'))
  const random = new Random(1)
  const packed = random.bytes(MIB)
  const files = [
    { type: 'file', path: '/usr.lgz', content: Buffer.concat(Array(150).fill(packed)) },
    { type: 'file', path: '/smartdc/programs', content: await programs(60 * MIB) },
  ] as const
  const tarball = join(dir, `data/platform-${STAMP}.tgz`)
  const made = { flavour: 2014, stamp: STAMP, geometry: { bytes: 300 * MIB }, files } as const
  await makePlatform(tarball, dir, made)

  const started = performance.now()
  const child = spawn(build, [STAMP], { cwd: dir, stdio: ['ignore', 'ignore', 'inherit'] })
  const memory = watchMemory(child.pid!)
  const status = await new Promise((done) => child.on('close', done))
  if (status !== 0) throw new Error(`build-retro ended with ${String(status)}`)
  const ours = (performance.now() - started) / 1000

  const disk = join(dir, 'peer.raw')
  const common = [
    `mkdir -p ${dir}/peer && tar -C ${dir}/peer -xzf ${tarball}`,
    `truncate -s 1G ${disk} && mkfs.vfat -F 32 ${disk} >/dev/null`,
    `mcopy -o -s -i ${disk} ${dir}/peer/platform-${STAMP} ::/platform`,
  ].join(' && ')
  const pigz = await measure(`${common} && pigz -9 <${disk} >${dir}/peer.gz`)
  const gzip = await measure(`gzip -9 <${disk} >${dir}/peer-gzip.gz`)
  const output = join(dir, 'output')
  const version = (
    JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
      version: string
    }
  ).version
  const sizeOf = async (path: string) => (await readFile(path)).length / MIB
  const size = await sizeOf(join(output, `smartos-retro-${STAMP}-${version}.zvol.gz`))
  const row = (name: string, seconds: number, mib: number) => [
    name,
    seconds.toFixed(1),
    (seconds / ours).toFixed(2),
    mib.toFixed(1),
  ]
  console.log(
    table([
      ['', 'seconds', 'of ours', 'MiB'],
      row('build-retro, 300 MiB archive', ours, size),
      row('tar, mcopy, pigz -9', pigz.seconds, await sizeOf(`${dir}/peer.gz`)),
      row('gzip -9 of that disk alone', gzip.seconds, await sizeOf(`${dir}/peer-gzip.gz`)),
    ]),
  )
  console.log(`Peak memory of build-retro and what it started: ${memory.peak().toFixed(0)} MiB`)
} finally {
  await remove()
}
