import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cutToTar, makeTarDisk, tarDiskLines } from '../../lib/methods/tar-disk.ts'
import { refusal } from '../refusal.ts'
import { inTemporaryDir } from '../temporary.ts'

const EPOCH = 1_700_000_000
const BYTES = 4 << 20

/** Run the guest's lines as if `dir` were its root: disks are files, mounts are not needed. */
async function runInside(dir: string, programs: Record<string, string> = {}) {
  const bin = join(dir, 'bin')
  await mkdir(bin, { recursive: true })
  const stubs = {
    tar: 'exec /bin/tar "$@"',
    mount: '',
    umount: '',
    findmnt: 'echo /',
    ...programs,
  }
  for (const [name, body] of Object.entries(stubs)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${body}\n`)
    await chmod(join(bin, name), 0o755)
  }
  for (const name of ['vda', 'vdb', 'sr0']) {
    const { size } = await stat(join(dir, 'dev', name)).catch(() => ({ size: 0 }))
    await mkdir(join(dir, 'sys', name), { recursive: true })
    await writeFile(join(dir, 'sys', name, 'size'), `${size / 512}\n`)
  }
  const lines = tarDiskLines(EPOCH).map((line) =>
    line
      .replaceAll('/sys/block/', `${dir}/sys/`)
      .replaceAll('/dev/$', `${dir}/dev/$`)
      .replaceAll(' /mnt', ` ${dir}/mnt`),
  )
  return spawnSync('sh', ['-euc', lines.join('\n')], {
    env: { PATH: `${bin}:${process.env['PATH']}` },
    encoding: 'utf8',
  })
}
async function machine(dir: string) {
  for (const name of ['dev', 'mnt/etc', 'mnt/dev', 'mnt/lost+found']) {
    await mkdir(join(dir, name), { recursive: true })
  }
  await writeFile(join(dir, 'mnt/etc/motd'), 'hello')
  await writeFile(join(dir, 'mnt/dev/null'), '')
  await writeFile(join(dir, 'dev/vda'), Buffer.alloc(1 << 20))
  const disk = join(dir, 'dev/vdb')
  await makeTarDisk(disk, BYTES)
  return disk
}

const packing = suite('a disk for the root tar')
packing('begins with zeros, is sparse, and has its name in its last sector', () =>
  inTemporaryDir(async (dir) => {
    const disk = join(dir, 'disk')
    await makeTarDisk(disk, BYTES)
    const { size, blocks } = await stat(disk)
    assert.is(size, BYTES)
    assert.ok(blocks * 512 < BYTES / 4)
    const all = await readFile(disk)
    assert.ok(all.subarray(0, BYTES - 512).every((byte) => byte === 0))
    assert.match(all.toString('latin1', BYTES - 512), /^hybrid-images root tar\n/)
  }),
)
packing('is found by the guest among others, and becomes the tar', () =>
  inTemporaryDir(async (dir) => {
    const disk = await machine(dir)
    const before = await readFile(join(dir, 'dev/vda'))
    const { status, stdout, stderr } = await runInside(dir)
    assert.is(status, 0, stdout + stderr)
    assert.ok(before.equals(await readFile(join(dir, 'dev/vda'))))
    await cutToTar(disk)
    assert.is(stdout, `root tar: ${(await stat(disk)).size} bytes\n`)
    const list = execFileSync('tar', ['-tf', disk], { encoding: 'utf8' })
    assert.is(list, './\n./dev/\n./etc/\n./etc/motd\n')
  }),
)
packing('is none while the guest has not written all of it', () =>
  inTemporaryDir(async (dir) => {
    const disk = await machine(dir)
    assert.match(await refusal(cutToTar(disk)), /^Cannot take the root tar: .* written none$/)
    for (const [program, body, says] of [
      ['tar', 'case $* in *--help*) exit ;; esac; echo half; exit 2', /error: tar can't pack/],
      [
        'dd',
        'case $* in *of=*) cat >/dev/null; exit 1 ;; esac; exec /bin/dd "$@"',
        /error: the root tar can't be written/,
      ],
    ] as const) {
      const { status, stdout } = await runInside(dir, { [program]: body })
      assert.is(status, 1)
      assert.match(stdout, says)
      assert.match(await refusal(cutToTar(disk)), /written none$/)
    }
  }),
)
packing('does without what an old tar does not know', () =>
  inTemporaryDir(async (dir) => {
    const disk = await machine(dir)
    const old =
      'case $* in *--help*) echo nothing; exit ;; *--sort*|*mtime*) exit 64 ;; esac; exec /bin/tar "$@"'
    const { status, stdout } = await runInside(dir, { tar: old })
    assert.is(status, 0, stdout)
    await cutToTar(disk)
    execFileSync('tar', ['-tf', disk])
  }),
)
packing('says that there is none', () =>
  inTemporaryDir(async (dir) => {
    await machine(dir)
    await writeFile(join(dir, 'dev/vdb'), Buffer.alloc(1 << 20))
    const { status, stdout } = await runInside(dir)
    assert.is(status, 1)
    assert.is(stdout, 'error: there is no disk for the root tar\n')
  }),
)
packing.run()
