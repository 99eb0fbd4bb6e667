import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { bootFiles } from '../../lib/methods/bootstrap-tree.ts'

const names = suite('bootFiles()')
names('of amd64: for BIOS, and on the removable path of UEFI', () => {
  const { files, download } = bootFiles('/w', 'amd64', 'debian')
  assert.equal(files, {
    bios: { boot: '/w/boot.img', core: '/w/core.img' },
    esp: {
      'EFI/BOOT/BOOTX64.EFI': '/w/shimx64.efi',
      'EFI/BOOT/grubx64.efi': '/w/grubx64.efi',
      'EFI/BOOT/mmx64.efi': '/w/mmx64.efi',
      'EFI/debian/grub.cfg': '/w/grub.cfg',
    },
  })
  assert.is(download.length, 6)
})
names('of arm64: for UEFI alone, by its names', () => {
  const { files, download } = bootFiles('/w', 'arm64', 'ubuntu')
  assert.equal(files, {
    esp: {
      'EFI/BOOT/BOOTAA64.EFI': '/w/shimaa64.efi',
      'EFI/BOOT/grubaa64.efi': '/w/grubaa64.efi',
      'EFI/BOOT/mmaa64.efi': '/w/mmaa64.efi',
      'EFI/ubuntu/grub.cfg': '/w/grub.cfg',
    },
  })
  assert.not.match(JSON.stringify(download), /i386-pc/)
})
names.run()
