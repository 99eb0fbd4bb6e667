/**
 * What an architecture changes of an image whatever the distro: how it boots, and where its console is.
 * Sources: UEFI specification, "Removable Media Boot Behavior"; GRUB's names of its platforms.
 */
import type { Arch } from './distro.ts'

export type Architecture = {
  /** Behind names of images and files; the one that needs no telling has none. */
  suffix: string
  /** Media and answers of installers are known for it. */
  installers: boolean
  /** Its machines boot from BIOS, too. */
  bios: boolean
  efi: {
    /** What firmware looks for on the removable path. */
    removable: string
    /** In names of boot loaders: `grubx64.efi`. */
    suffix: string
    /** GRUB's platform. */
    platform: string
  }
  /** The serial port that is its machines' console; undefined: theirs differ. */
  serial: string | undefined
  /** Where GRUB shows its menu, where it can't be what the target wants. */
  grubTerminals: string | undefined
}

export const architectures: Readonly<Record<Arch, Architecture>> = {
  amd64: {
    suffix: '',
    installers: true,
    bios: true,
    efi: { removable: 'BOOTX64.EFI', suffix: 'x64', platform: 'x86_64-efi' },
    serial: 'ttyS0',
    grubTerminals: undefined,
  },
  arm64: {
    suffix: '-arm64',
    installers: false,
    bios: false,
    efi: { removable: 'BOOTAA64.EFI', suffix: 'aa64', platform: 'arm64-efi' },
    // ttyAMA0 in QEMU and on many servers, ttyS0 and others elsewhere. Firmware names it (SPCR of ACPI,
    // stdout-path of a device tree), and the kernel listens as long as no console= says otherwise; a log-in
    // is then started there by systemd, which asks the kernel.
    serial: undefined,
    // GRUB has no driver for these ports; the firmware's own console is on the serial port and the screen.
    grubTerminals: 'console',
  },
}
