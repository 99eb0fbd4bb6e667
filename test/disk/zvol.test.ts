/** Volumes against a stand-in of zfs; ../zfs/zvol.live.ts has a real one. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Scope } from '../../lib/cli/scope.ts'
import { destroyZvol, makeZvol, sendZvol } from '../../lib/disk/zvol.ts'
import { refusal } from '../refusal.ts'
import { inTemporaryDir } from '../temporary.ts'

/** `busy` is how often a destroy is refused. */
async function withZfs(
  { busy = 0, send = 'printf stream' },
  use: (log: () => Promise<string[]>) => Promise<void>,
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
      await use(async () => (await readFile(join(dir, 'log'), 'utf8')).trim().split('\n'))
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

const zvols = suite('zvol')
zvols('is sparse, has a name of its own, is sent as a snapshot, and is destroyed', () =>
  withZfs({}, async (log) => {
    const scope = new Scope()
    const options = { bytes: 10 * 1024 ** 3, blockSize: 8192 }
    const zvol = await makeZvol('zones/z/data', options, scope)
    const other = await makeZvol('zones/z/data', options, scope)
    assert.is.not(zvol.dataset, other.dataset)
    assert.match(zvol.dataset, /^zones\/z\/data\/[0-9a-f-]{36}$/)
    assert.is(zvol.device, `/dev/zvol/rdsk/${zvol.dataset}`)
    assert.is(await text(sendZvol(zvol)), 'stream')
    await scope.close(false)
    assert.equal(await log(), [
      `create -s -V 10737418240 -o volblocksize=8192 ${zvol.dataset}`,
      `create -s -V 10737418240 -o volblocksize=8192 ${other.dataset}`,
      `snapshot ${zvol.dataset}@final`,
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
    const sending = text(sendZvol({ dataset: 'zones/a', device: '' }))
    assert.match(
      await refusal(sending),
      /^Cannot send zones\/a@final: zfs ended with status 1: cannot send: I\/O error$/,
    )
  }),
)
zvols.run()
