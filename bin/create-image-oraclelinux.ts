/**
 * Build an Oracle Linux image for SmartOS and Triton, with the vendor's installer in a virtual machine.
 *
 *   ./bin/create-image-oraclelinux 9
 *   ./bin/create-image-oraclelinux 9 --layout lvm --size 20G
 *
 * Prints the manifest's path; the image is beside it.
 */
import { oraclelinux } from '../distros/oraclelinux.ts'
import { createImageCommand } from '../lib/image/create-image.ts'

await createImageCommand(oraclelinux)
