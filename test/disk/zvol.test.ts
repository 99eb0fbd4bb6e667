/** Volumes against a stand-in of zfs; ../zfs/zvol.live.ts has a real one. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { BuildError } from '../../lib/cli/errors.ts'
import { Scope } from '../../lib/cli/scope.ts'
import { destroyZvol, makeZvol, sendZvol, snapshotZvol } from '../../lib/disk/zvol.ts'
import { refusal } from '../refusal.ts'
import { inTemporaryDir } from '../temporary.ts'

/** `busy` is how often a destroy is refused. */
async function withZfs(
  { busy = 0, send = 'printf stream' },
  use: (log: () => Promise<string[]>, dir: string) => Promise<void>,
) {
  await inTemporaryDir(async (dir) => {
    const bin = join(dir, 'bin')
    await mkdir(bin)
    await writeFile(join(dir, 'busy'), String(busy))
    await writeFile(
      join(bin, 'zfs'),
      `#!/bin/sh
echo "$*" >>${dir}/log
case $1 in
create) for last; do :; done; mkdir -p "${dir}/devices/\${last%/*}"; test -e ${dir}/ghosts || : >"${dir}/devices/$last" ;;
get) printf 'guid\t123456789012345678\nreferenced\t7\n' ;;
send) ${send} ;;
destroy)
  left=$(cat ${dir}/busy)
  echo $((left - 1)) >${dir}/busy
  [ "$left" -le 0 ] || { echo "cannot destroy '$3': dataset is busy" >&2; exit 1; } ;;
esac
`,
    )
    await writeFile(join(bin, 'pfexec'), '#!/bin/sh\nexec "$@"\n')
    for (const name of ['zfs', 'pfexec']) await chmod(join(bin, name), 0o755)
    const path = process.env['PATH']
    process.env['PATH'] = `${bin}:${path}`
    try {
      await use(async () => (await readFile(join(dir, 'log'), 'utf8')).trim().split('\n'), dir)
    } finally {
      process.env['PATH'] = path
    }
  })
}
const text = async (pieces: AsyncIterable<Buffer>) => {
  const all: Buffer[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all).toString()
}

const size = { bytes: 10 * 1024 ** 3, blockSize: 8192 }

const zvols = suite('zvol')
zvols('is sparse, has a name of its own, is sent as a snapshot, and is destroyed', () =>
  withZfs({}, async (log, dir) => {
    const scope = new Scope()
    const seen = { directory: join(dir, 'devices'), attempts: 1, pauseMs: 1 }
    const zvol = await makeZvol('zones/z/data', size, scope, seen)
    const other = await makeZvol('zones/z/data', size, scope, seen)
    assert.is.not(zvol.dataset, other.dataset)
    assert.match(zvol.dataset, /^zones\/z\/data\/[0-9a-f-]{36}$/)
    assert.is(zvol.device, join(seen.directory, zvol.dataset))
    const snapshot = await snapshotZvol(zvol)
    assert.is(snapshot.guid, 123456789012345678n)
    const progress: number[] = []
    assert.is(await text(sendZvol(snapshot.name, (bytes) => progress.push(bytes))), 'stream')
    assert.equal(progress, [6])
    await scope.close(false)
    assert.equal(await log(), [
      `create -s -V 10737418240 -o volblocksize=8192 ${zvol.dataset}`,
      `create -s -V 10737418240 -o volblocksize=8192 ${other.dataset}`,
      `snapshot ${zvol.dataset}@final`,
      `get -H -p -o property,value guid,referenced ${zvol.dataset}@final`,
      `send ${zvol.dataset}@final`,
      `destroy -r ${other.dataset}`,
      `destroy -r ${zvol.dataset}`,
    ])
  }),
)
zvols('waits while the hypervisor has not let go of it', () =>
  withZfs({ busy: 3 }, async (log) => {
    await destroyZvol('zones/a', { attempts: 5, pauseMs: 1 })
    assert.is((await log()).length, 4)
  }),
)
zvols('gives up at the end, and says what to do', () =>
  withZfs({ busy: 100 }, async (log) => {
    assert.match(
      await refusal(destroyZvol('zones/a', { attempts: 3, pauseMs: 1 })),
      /^Cannot destroy zones\/a: cannot destroy 'zones\/a': dataset is busy$/,
    )
    assert.is((await log()).length, 3)
  }),
)
zvols('does not take half a stream for a whole one', () =>
  withZfs({ send: 'printf half; echo "cannot send: I/O error" >&2; exit 1' }, async () => {
    const sending = text(sendZvol('zones/a@final'))
    assert.match(
      await refusal(sending),
      /^Cannot send zones\/a@final: zfs ended with status 1: cannot send: I\/O error$/,
    )
  }),
)
zvols('says what to do when the zone sees no device of it, and destroys it', () =>
  withZfs({}, async (log, dir) => {
    await writeFile(join(dir, 'ghosts'), '')
    const scope = new Scope()
    const seen = { directory: join(dir, 'devices'), attempts: 3, pauseMs: 1 }
    const error = await makeZvol('zones/z/data', size, scope, seen).then(
      () => assert.unreachable() as never,
      (reason: unknown) => reason as BuildError,
    )
    assert.match(
      error.message,
      /^Cannot open .*devices\/zones\/z\/data\/.*, although zfs has made it/,
    )
    assert.match(error.hint!, /stale: restart the zone/)
    await scope.close(true)
    assert.match((await log()).at(-1)!, /^destroy -r zones\/z\/data\//)
  }),
)
zvols.run()
