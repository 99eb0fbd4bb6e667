/**
 * Build an AlmaLinux image for SmartOS and Triton, with the vendor's installer in a virtual machine.
 *
 *   ./bin/create-image-almalinux 9
 *   ./bin/create-image-almalinux 9 --layout lvm --size 20G
 *
 * Prints the manifest's path; the image is beside it.
 */
import { almalinux } from '../distros/almalinux.ts'
import { createImageCommand } from '../lib/image/create-image.ts'

await createImageCommand(almalinux)
