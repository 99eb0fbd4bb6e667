/**
 * Images for SmartOS and Triton: what the guest needs beyond its distro's own set-up.
 *
 * Source: ../../cloud-init/90_smartos.cfg says what cloud-init does with the metadata.
 */
import type { Target } from './target.ts'

export const smartos: Target = {
  name: 'smartos',
  about: '64-bit image for KVM and bhyve, set up by the metadata service',
  madeFor: 'Triton and SmartOS',
  formats: ['zfs.gz'],
  refusesArch: { arm64: 'SmartOS runs on x86 only' },
  files: [{ from: 'cloud-init/90_smartos.cfg', to: '/etc/cloud/cloud.cfg.d/90_smartos.cfg' }],
  guestTools: { directory: 'sdc-vmtools/linux', install: 'sdc-vmtools/linux/install.sh' },
  variables: {},
  packages: () => [],
  kernelArguments: [
    // The last console is /dev/console: the one that an operator of a cloud can see.
    'console=tty0',
    'console=ttyS0,115200n8',
    // The hypervisor keeps the clock steady over migrations; the kernel's own test is fooled by it.
    'tsc=reliable',
    // PCI addresses differ between bhyve and KVM, and with them the predictable names.
    'net.ifnames=0',
  ],
  // The screen joins in under BIOS only: distros/debian/setup.sh says why.
  grubTerminals: 'serial',
  hardware: false,
  leftovers: {},
  manifest: true,
  handOver: ({ manifest, image }) => [`On SmartOS: imgadm install -m ${manifest} -f ${image}`],
}
