/**
 * Build a CentOS image for SmartOS and Triton, with the vendor's installer in a virtual machine.
 *
 *   ./bin/create-image-centos stream9
 *   ./bin/create-image-centos stream9 --layout lvm --size 20G
 *
 * Prints the manifest's path; the image is beside it.
 */
import { centos } from '../distros/centos.ts'
import { createImageCommand } from '../lib/image/create-image.ts'

await createImageCommand(centos)
