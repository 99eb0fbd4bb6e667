/**
 * Volumes of a real ZFS, found, sent and destroyed by us: zfs-fuse, which can't make volumes, but receive
 * them. Making them is shown by ../smartos/volumes.sh only.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Scope } from '../../lib/cli/scope.ts'
import { destroyZvol, findDataset, makeZvol, sendZvol, snapshotZvol } from '../../lib/disk/zvol.ts'
import { writeImageFile } from '../../lib/image/image-file.ts'
import { restoreStream } from '../../lib/zfs/restore.ts'
import { zvolStream } from '../../lib/zfs/write.ts'
import { workDir } from '../live.ts'
import { refusal } from '../refusal.ts'
import { makePool, sh } from '../zfs-pool.ts'

const POOL = `hybridvolumes${process.pid}`
const { dir, remove } = await workDir()
let pool: Awaited<ReturnType<typeof makePool>> | undefined

const volumes = suite('zvol, with a real zfs')
volumes.before(async () => {
  try {
    pool = await makePool(POOL, dir)
    await mkdir(join(dir, 'data'))
    sh(`zfs create -o mountpoint=${join(dir, 'data')} ${POOL}/data`)
  } catch (error) {
    console.error(error) // uvu goes on to after() and forgets it
    throw error
  }
})
volumes.after(async () => {
  try {
    await pool?.destroy()
  } finally {
    await remove()
  }
})

volumes('finds the dataset by its name, and by where it is mounted', async () => {
  assert.is(await findDataset(`${POOL}/data`), `${POOL}/data`)
  assert.is(await findDataset(join(dir, 'data')), `${POOL}/data`)
})
volumes('says what to do where there is none', async () => {
  const message = /^Cannot make volumes: .* is no dataset of this zone \(/
  assert.match(await refusal(findDataset(`${POOL}/nothing`)), message)
  assert.match(await refusal(findDataset('/var')), message)
})
volumes('refuses one with a size that ZFS does not make, in its words', async () => {
  const scope = new Scope()
  const making = makeZvol(`${POOL}/data`, { bytes: 1000, blockSize: 8192 }, scope)
  assert.match(await refusal(making), /cannot create .*volume size must be a multiple/)
  await scope.close(true)
})
volumes('sends what is on it, with the guid that ZFS gave its snapshot', async () => {
  const disk = join(dir, 'disk.raw')
  const file = await open(disk, 'w')
  await file.truncate(64 * 1024 ** 2)
  await file.write(Buffer.alloc(300_000, 'x'), 0, 300_000, 5 * 1024 ** 2)
  await file.close()
  const source = { path: disk, bytes: 64 * 1024 ** 2, guid: 77n, createdAtSeconds: 1 }
  const extents = [{ offset: 4 * 1024 ** 2, length: 8 * 1024 ** 2 }]
  const ours = zvolStream({ ...source, extents, name: 'zones/a@b', volblocksize: 16384 })
  const stream = join(dir, 'ours.zfs')
  await writeImageFile(ours, stream)
  sh(`zfs receive ${POOL}/data/filled <${stream}`)

  const snapshot = await snapshotZvol({ dataset: `${POOL}/data/filled`, device: '' })
  assert.is.not(snapshot.guid, 77n)
  assert.is(snapshot.name, `${POOL}/data/filled@final`)
  assert.is(String(snapshot.guid), sh(`zfs get -H -p -o value guid ${snapshot.name}`).trim())
  let sent = 0
  const back = join(dir, 'back.raw')
  const pieces = sendZvol(snapshot.name, (bytes) => (sent = bytes))
  const { guid, volblocksize } = await restoreStream(pieces, back)
  assert.equal([guid, volblocksize], [snapshot.guid, 16384])
  assert.ok(sent >= 300_000)
  assert.ok((await readFile(back)).equals(await readFile(disk)))

  await destroyZvol(`${POOL}/data/filled`)
  assert.is(sh(`zfs list -H -r -t all -o name ${POOL}`), `${POOL}\n${POOL}/data\n`)
  await destroyZvol(`${POOL}/data/filled`) // what is not there is destroyed
})
volumes.run()
