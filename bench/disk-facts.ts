/**
 * What is on a raw disk, read without mounting it: partitions by sfdisk, and by debugfs the kernels, initramfs and
 * packages on its ext4 root file system. Sizes in bytes.
 */
import { execFileSync } from 'node:child_process'
import { openSync, readSync, statSync } from 'node:fs'

export type DiskFacts = {
  bytes: number
  label: string
  partitions: number
  kernels: string[]
  initramfs: string[]
  packages: string[]
  /** Is there code in the first sector, that a BIOS starts? */
  bootCode: boolean
}

type Partition = { start: number; size: number }

/** @throws {Error} where there is no partition table, or sfdisk or debugfs is missing */
export function diskFacts(disk: string): DiskFacts {
  const text = execFileSync('sfdisk', ['--json', disk], { encoding: 'utf8' })
  const { partitiontable } = JSON.parse(text) as {
    partitiontable: { label: string; partitions: Partition[] }
  }
  const root = partitiontable.partitions.toSorted((a, b) => b.size - a.size)[0]!
  const place = `${disk}?offset=${root.start * 512}`
  const debugfs = (request: string) =>
    execFileSync('debugfs', ['-R', request, place], {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  const boot = [...debugfs('ls -p /boot').matchAll(/^\/\d+\/\d+\/\d+\/\d+\/([^/]+)\//gm)].map(
    ([, name]) => name!,
  )
  const sector = Buffer.alloc(440)
  readSync(openSync(disk, 'r'), sector, 0, sector.length, 0)
  const { size } = statSync(disk)
  return {
    bytes: size,
    label: partitiontable.label,
    partitions: partitiontable.partitions.length,
    kernels: boot.filter((name) => name.startsWith('vmlinuz-')),
    initramfs: boot.filter((name) => name.startsWith('initrd.img-')),
    packages: installed(debugfs('cat /var/lib/dpkg/status')),
    bootCode: sector.some((byte) => byte !== 0),
  }
}

/** Names of what is installed, from dpkg's status file. */
function installed(status: string): string[] {
  return status
    .split('\n\n')
    .filter((entry) => /^Status: install ok installed$/m.test(entry))
    .map((entry) => /^Package: (\S+)$/m.exec(entry)?.[1] ?? '')
}
