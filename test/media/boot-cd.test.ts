import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { findLoader } from '../../lib/media/boot-cd.ts'

const finding = suite('findLoader()')
finding('takes ISOLINUX, with the library that newer ones need', () => {
  const { files, image, config } = findLoader(
    ['/isolinux/isolinux.bin', '/isolinux/ldlinux.c32', '/isolinux/menu.c32', '/boot/x.c32'],
    'm.iso',
  )
  assert.equal(
    [...files],
    [
      ['/isolinux/isolinux.bin', 'isolinux/isolinux.bin'],
      ['/isolinux/ldlinux.c32', 'isolinux/ldlinux.c32'],
    ],
  )
  assert.is(image, 'isolinux/isolinux.bin')
  assert.match(
    config.text(['console=ttyS0', 'auto']),
    /^ {2}append initrd=\/initrd console=ttyS0 auto$/m,
  )
})
finding('does without the library where there is none', () => {
  assert.is(findLoader(['/isolinux/isolinux.bin'], 'm.iso').files.size, 1)
})
finding('takes GRUB with its modules, from where it looks for them', () => {
  const { files, image, config } = findLoader(
    ['/boot/grub/i386-pc/eltorito.img', '/boot/grub/i386-pc/normal.mod', '/boot/grub/grub.cfg'],
    'm.iso',
  )
  assert.is(files.get('/boot/grub/i386-pc/normal.mod'), 'boot/grub/i386-pc/normal.mod')
  assert.is(image, 'boot/grub/eltorito.img')
  assert.is(config.path, 'boot/grub/grub.cfg')
  assert.is(config.text(["a='b c'"]).split('\n')[0], "linux /linux 'a='\\''b c'\\'''")
  const other = findLoader(['/images/eltorito.img', '/boot/grub2/i386-pc/linux.mod'], 'm.iso')
  assert.is(other.image, 'boot/grub2/eltorito.img')
})
finding('refuses a medium that BIOS does not boot', () => {
  assert.throws(
    () => findLoader(['/EFI/BOOT/BOOTX64.EFI', '/images/eltorito.img'], 'm.iso'),
    /^Error: Cannot make a boot CD: "m\.iso" has no boot loader for BIOS|Cannot make a boot CD/,
  )
})
finding.run()
