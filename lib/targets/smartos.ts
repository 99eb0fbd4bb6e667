/**
 * Images for SmartOS and Triton: what the guest needs beyond its distro's own set-up.
 *
 * Source: ../../cloud-init/90_smartos.cfg says what cloud-init does with the metadata.
 */

export type GuestFile = {
  /** Below the project's folder. */
  from: string
  /** Absolute, in the guest. */
  to: string
}

export type Target = {
  name: string
  files: readonly GuestFile[]
  /** Programs for the guest, below the project's folder: a directory, and what installs it there. */
  guestTools: { directory: string; install: string }
  kernelArguments: readonly string[]
}

export const smartos: Target = {
  name: 'smartos',
  files: [{ from: 'cloud-init/90_smartos.cfg', to: '/etc/cloud/cloud.cfg.d/90_smartos.cfg' }],
  guestTools: { directory: 'sdc-vmtools/linux', install: 'sdc-vmtools/linux/install.sh' },
  kernelArguments: [
    // The last console is /dev/console: the one that an operator of a cloud can see.
    'console=tty0',
    'console=ttyS0,115200n8',
    // The hypervisor keeps the clock steady over migrations; the kernel's own test is fooled by it.
    'tsc=reliable',
    // PCI addresses differ between bhyve and KVM, and with them the predictable names.
    'net.ifnames=0',
  ],
}
