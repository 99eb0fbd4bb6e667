/**
 * A mirror with Ubuntu's suites and components, on loopback, made of Debian's packages and signed with a
 * key of its own: what method bootstrap does for Ubuntu can be seen without Ubuntu's archive. Packages
 * themselves come from this machine's mirror, by redirection; only those that Debian does not have are
 * made here.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import * as openpgp from 'openpgp'
import type { Arch } from '../distros/distro.ts'
import { machineMirrors } from './live.ts'

const COMPONENTS = ['main', 'restricted', 'universe', 'multiverse']

/** Packages that Ubuntu has and Debian has not, with what stands for them. */
const ours = (arch: Arch): Record<string, string> => ({
  'linux-image-virtual': `linux-image-${arch}`,
  'ubuntu-keyring': 'debian-archive-keyring',
})

export type UbuntuMirror = { url: string; keyring: string; close: () => void }

/** @param codename of the Ubuntu release that it has */
export async function startUbuntuMirror(
  dir: string,
  { codename, version, arch = 'amd64' }: { codename: string; version: string; arch?: Arch },
): Promise<UbuntuMirror> {
  const osRelease = await readFile('/etc/os-release', 'utf8')
  const debian = /^VERSION_CODENAME=(\w+)$/m.exec(osRelease)![1]!
  const origin = machineMirrors()[1]
  if (!origin) throw new Error('This machine has no mirror in its apt sources')
  const root = join(dir, 'ubuntu')
  const put = async (path: string, content: Buffer | string) => {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), content)
  }

  const response = await fetch(`${origin}/dists/${debian}/main/binary-${arch}/Packages.xz`)
  if (!response.ok) throw new Error(`${origin}: ${response.status}`)
  const theirs = execFileSync('xz', ['-dc'], {
    input: Buffer.from(await response.arrayBuffer()),
    maxBuffer: 1 << 28,
  })
  const stanzas: string[] = []
  for (const [name, depends] of Object.entries(ours(arch))) {
    const tree = join(dir, name)
    const control =
      `Package: ${name}\nVersion: 1\nArchitecture: ${arch}\nMaintainer: nobody <nobody@localhost>\n` +
      `Depends: ${depends}\nDescription: for a test\n`
    await mkdir(join(tree, 'DEBIAN'), { recursive: true })
    await writeFile(join(tree, 'DEBIAN/control'), control)
    const file = `pool/universe/${name}_1_${arch}.deb`
    await mkdir(join(root, 'pool/universe'), { recursive: true })
    execFileSync('dpkg-deb', ['--build', tree, join(root, file)], { stdio: 'ignore' })
    const deb = await readFile(join(root, file))
    const sha256 = createHash('sha256').update(deb).digest('hex')
    stanzas.push(`${control}Filename: ${file}\nSize: ${deb.length}\nSHA256: ${sha256}\n`)
  }

  const { privateKey, publicKey } = await openpgp.generateKey({
    type: 'rsa',
    rsaBits: 3072,
    userIDs: [{ name: 'Test archive', email: 'nobody@localhost' }],
    date: new Date(Date.now() - 3_600_000),
    format: 'object',
  })
  const keyring = join(dir, 'archive.gpg')
  await writeFile(keyring, publicKey.write())

  for (const suite of [codename, `${codename}-updates`, `${codename}-security`]) {
    const sums: string[] = []
    for (const component of COMPONENTS) {
      const has: Record<string, Buffer | string> =
        suite === codename ? { main: theirs, universe: stanzas.join('\n') } : {}
      const text = Buffer.from(has[component] ?? '')
      // apt asks for what has a digest unpacked, and fetches it packed.
      for (const [name, bytes] of [
        ['Packages', text],
        ['Packages.gz', gzipSync(text, { level: 1 })],
      ] as const) {
        const path = `${component}/binary-${arch}/${name}`
        if (name !== 'Packages') await put(`dists/${suite}/${path}`, bytes)
        const digest = createHash('sha256').update(bytes).digest('hex')
        sums.push(` ${digest} ${bytes.length} ${path}`)
      }
    }
    const text = [
      ...['Origin: Ubuntu', 'Label: Ubuntu', `Suite: ${suite}`, `Version: ${version}`],
      ...[`Codename: ${codename}`, `Date: ${new Date().toUTCString()}`, `Architectures: ${arch}`],
      ...[`Components: ${COMPONENTS.join(' ')}`, 'SHA256:', ...sums, ''],
    ].join('\n')
    const message = await openpgp.createCleartextMessage({ text })
    await put(
      `dists/${suite}/InRelease`,
      await openpgp.sign({ message, signingKeys: privateKey, date: new Date(Date.now() - 60_000) }),
    )
  }

  const server = createServer((request, answer) => {
    const path = decodeURIComponent(request.url!.replace(/^\/ubuntu\//, ''))
    void readFile(join(root, path)).then(
      (bytes) => answer.end(bytes),
      () => {
        if (path.startsWith('pool/')) answer.writeHead(302, { location: `${origin}/${path}` }).end()
        else answer.writeHead(404).end()
      },
    )
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/ubuntu`, keyring, close: () => server.close() }
}
