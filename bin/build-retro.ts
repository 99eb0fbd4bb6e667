/**
 * Make a bootable virtual machine image of a historic SmartOS platform.
 *
 *   ./bin/build-retro 20130506T233003Z
 *
 * Reads data/platform-<STAMP>.tgz; prints the manifest's path, the image is beside it.
 */
import { join, resolve } from 'node:path'
import { rootCertificates } from 'node:tls'
import packageJson from '../package.json' with { type: 'json' }
import { HostError, UsageError } from '../lib/cli/errors.ts'
import { log } from '../lib/cli/log.ts'
import { main } from '../lib/cli/main.ts'
import { commonOptions, parseSize } from '../lib/cli/options.ts'
import { step } from '../lib/cli/progress.ts'
import { readSmallFile } from '../lib/cli/small-file.ts'
import { cacheDirectory } from '../lib/host/home.ts'
import { ensureTools, findTool, INSTALLER_TOOLS, TOOLS } from '../lib/host/tools.ts'
import { checkWritable } from '../lib/image/output-dir.ts'
import { findOwn } from '../lib/image/own-file.ts'
import { proxyOption, proxyVariables } from '../lib/image/proxy.ts'
import { findGiven, isAddress } from '../lib/media/given.ts'
import { buildRetro, checkRetro, findPlatform } from '../platform/build.ts'
import { KEY_TOOLS } from '../platform/usb-key.ts'

const SMALLEST = '256M'

const command = {
  name: 'build-retro',
  summary: 'Make a historic SmartOS platform an image that boots as a virtual machine.',
  words: ['STAMP'],
  details: [
    'STAMP is the platform’s, as in 20130506T233003Z: data/platform-<STAMP>.tgz is read, or what',
    "--platform names: a tarball, or the zip file of a Jenkins build's artifacts. Edits that do not fit a",
    'platform are left out, and named.',
  ],
  options: {
    platform: { arg: 'PATH|URL', help: 'the platform instead of data/platform-<STAMP>.tgz' },
    checksum: { arg: 'HEX|FILE', help: "its SHA-256 or SHA-512; an address can't do without" },
    output: { arg: 'DIR', default: 'output', help: 'where the image goes' },
    size: {
      arg: 'SIZE',
      default: '1G',
      parse: parseDisk,
      help: `size of the disk, ${SMALLEST} or more; below 512M the archive is packed`,
    },
    'boot-disk': {
      arg: 'FILE',
      help: 'image that was built before: its disk and boot loader are used, and SYSLINUX, which SmartOS has not, is not needed',
    },
    network: { arg: 'FILE', help: 'network.conf in place of our own: internal network and NAT' },
    custom: { arg: 'FILE', help: 'gzipped tarball that the first boot unpacks to /opt/custom' },
    'ca-bundle': { arg: 'FILE', help: 'certificates in place of those that come with Node' },
    proxy: proxyOption,
    cache: { arg: 'DIR', help: 'where downloads are kept (default ~/.cache/hybrid-images)' },
    json: { help: 'print the result as JSON' },
    keep: { help: 'keep temporary files, for a look' },
    install: { default: true, help: 'do not install missing host packages: say what is missing' },
    ...commonOptions,
  },
  examples: [
    './bin/build-retro 20130506T233003Z',
    './bin/build-retro 20141030T081701Z --platform archive.zip --size 256M --network my-network.conf',
  ],
} as const

function parseDisk(text: string): number {
  const bytes = parseSize(text)
  if (bytes >= parseSize(SMALLEST)) return bytes
  throw new UsageError(`Size ${text} is too small: a platform needs ${SMALLEST} at least`)
}

/** A text of the operator's. @throws {UsageError} when it can't be read */
async function readOwn(option: string, path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  const found = await findOwn(`--${option}`, path)
  return String(await readSmallFile(found, `--${option} "${path}"`))
}

await main(command, async ({ options, words, scope }) => {
  const [stamp] = words as [string]
  if (!/^\d{8}T\d{6}Z$/.test(stamp)) {
    throw new UsageError(`Cannot read stamp "${stamp}": it is a time, as in 20130506T233003Z`)
  }
  const { platform, checksum, proxy, output, size, network, custom } = options
  if (platform === undefined && checksum !== undefined) {
    throw new UsageError('Option --checksum needs --platform')
  }
  await readOwn('network', network)
  if (custom !== undefined) await findOwn('--custom', custom)
  const bootDisk = options['boot-disk']
  if (bootDisk !== undefined) await findOwn('--boot-disk', bootDisk)
  const certificates =
    (await readOwn('ca-bundle', options['ca-bundle'])) ?? `${rootCertificates.join('\n')}\n`
  const wanted = {
    ...{ stamp, output, network, custom, certificates },
    ...{ bytes: size, bootDisk, version: packageJson.version },
  }
  const at = new Date()
  checkRetro({ ...wanted, tarball: '' }, at)
  await checkWritable(output)
  const cache = resolve(options.cache ?? cacheDirectory())
  if (platform === undefined) await findPlatform(stamp)
  await step('Check the host', async () => {
    const fetching = platform !== undefined && isAddress(platform) ? [INSTALLER_TOOLS.curl] : []
    const key = bootDisk === undefined ? Object.values(KEY_TOOLS) : [KEY_TOOLS.mcopy]
    const tools = [...key, TOOLS.qemuImg, TOOLS.libdeflateGzip, ...fetching]
    await ensureTools(tools, { install: options.install })
    if (bootDisk === undefined && findTool(KEY_TOOLS.syslinux.name) === undefined) {
      throw new HostError('Cannot make a boot disk: there is no SYSLINUX for this system', {
        hint: 'Build an image on Linux once, and name its .zvol.gz here by --boot-disk',
      })
    }
  })
  const tarball =
    platform === undefined
      ? await findPlatform(stamp)
      : await step('Find the platform', async (report) => {
          const env = proxyVariables(proxy, process.env)
          const given = { iso: platform, checksum }
          return (await findGiven(given, join(cache, 'media'), { report, env })).path
        })
  const { manifest, image, leftOut } = await buildRetro({ ...wanted, tarball }, at, scope)
  log.info(`On SmartOS: imgadm install -m ${manifest} -f ${image.path}`)
  log.info(`On Triton: sdc-imgadm import -m ${manifest} -f ${image.path}`)
  console.log(options.json ? JSON.stringify({ manifest, image, leftOut }, undefined, 2) : manifest)
})
