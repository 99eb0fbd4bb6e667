/** A build to publish, as it lies on the disk, SSH keys to sign with, and a publisher run as a command runs it. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sshpk from 'sshpk'
import { Interrupted } from '../../lib/cli/errors.ts'
import { Scope } from '../../lib/cli/scope.ts'
import { interrupt, session } from '../../lib/cli/session.ts'
import { convertImage } from '../../lib/image/convert.ts'
import { inspectImage } from '../../lib/image/inspect.ts'
import { imageManifest, writeManifest } from '../../lib/image/manifest.ts'
import { readPublication } from '../../lib/publish/publication.ts'
import type { Publication, Published, Publisher } from '../../lib/publish/publisher.ts'
import { randomBytes } from 'node:crypto'

export const STAMP = 'main-20260508T120000Z-0123456789ab'

/** Bytes of the disk: the file is somewhat larger, as noise can't be packed. */
const DISK_BYTES = 1024 ** 2

export type MadeBuild = {
  dir: string
  directory: string
  manifest: string
  image: string
  sha1: string
}

/** Make a build in `<dir>/bits/debian-12/<stamp>/`, tested. */
export async function makeBuild(dir: string, stamp = STAMP): Promise<MadeBuild> {
  const directory = join(dir, 'bits/debian-12', stamp)
  await mkdir(directory, { recursive: true })
  const disk = join(dir, 'disk.raw')
  await writeFile(disk, randomBytes(DISK_BYTES))
  const image = join(directory, 'debian-12-20260508.zfs.gz')
  await convertImage(disk, image, 8192, () => {})
  const { file, stream } = await inspectImage(image)
  const manifest = join(directory, 'debian-12-20260508.imgmanifest')
  const content = imageManifest({
    name: 'debian-12',
    version: '20260508',
    description: 'a test',
    homepage: 'https://example.com/',
    volumeBytes: DISK_BYTES,
    publishedAt: new Date('2026-05-08T12:00:00Z'),
    defaultUser: 'root',
    sha256: file.sha256,
    file: { sha1: file.sha1, bytes: file.bytes, datasetGuid: stream.guid },
  })
  await writeManifest(content, manifest)
  await writeFile(join(directory, 'debian-12-20260508.serial.log'), 'GNU GRUB\n')
  await recordFor(manifest, file.sha1)
  return { dir, directory, manifest, image, sha1: file.sha1 }
}

/** Leave the record of a test that all machines passed. */
export async function recordFor(
  manifest: string,
  sha1: string,
  change: object = {},
): Promise<void> {
  const at = '2026-05-08T13:00:00.000Z'
  const run = { hardware: 'kvm', ok: true, failed: [], at }
  const runs = [
    { firmware: 'bios', ...run },
    { firmware: 'uefi', ...run },
  ]
  const record = { sha1, ok: true, runs, ...change }
  await writeFile(manifest.replace('.imgmanifest', '.test.json'), JSON.stringify(record))
}

export type MadeKey = { path: string; public: string; fingerprint: string; sha256: string }

/** An SSH key in a file, in the format that ssh-keygen writes. */
export async function makeKey(
  dir: string,
  kind: 'rsa' | 'ed25519' = 'rsa',
  name = 'id',
): Promise<MadeKey> {
  const { privateKey } =
    kind === 'rsa'
      ? // Small, as every request is signed with it: not its strength is tested.
        generateKeyPairSync('rsa', { modulusLength: 1024 })
      : generateKeyPairSync('ed25519')
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' })
  const key = sshpk.parsePrivateKey(pem, 'pem')
  const path = join(dir, name)
  await writeFile(path, key.toString('ssh-private'), { mode: 0o600 })
  await writeFile(`${path}.pub`, `${key.toPublic().toString('ssh')}\n`)
  const open = key.toPublic()
  const fingerprint = open.fingerprint('md5').toString('hex')
  const sha256 = open.fingerprint('sha256').toString()
  return { path, public: open.toString('ssh'), fingerprint, sha256 }
}

/** Publish, with the undos that a command would run. */
export async function publishWith(
  publisher: Publisher,
  what: Publication | string,
  report: (fraction: number | undefined, note?: string) => void = () => {},
): Promise<Published> {
  const publication = typeof what === 'string' ? await readPublication(what) : what
  const scope = new Scope()
  let failed = true
  try {
    const published = await publisher.publish(publication, scope, report)
    failed = false
    return published
  } finally {
    await scope.close(failed)
  }
}

/** Ctrl-C, as main() does it, and a fresh session afterwards. */
export async function interrupted(work: (stop: () => void) => Promise<unknown>): Promise<unknown> {
  try {
    return await work(() => interrupt(new Interrupted('Interrupted by SIGINT'))).then(
      () => undefined,
      (error: unknown) => error,
    )
  } finally {
    session.interruption = new AbortController()
  }
}
