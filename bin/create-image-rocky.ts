/**
 * Build a Rocky Linux image for SmartOS and Triton, with the vendor's installer in a virtual machine.
 *
 *   ./bin/create-image-rocky 9
 *   ./bin/create-image-rocky 9 --layout lvm --size 20G
 *
 * Prints the manifest's path; the image is beside it.
 */
import { rocky } from '../distros/rocky.ts'
import { createImageCommand } from '../lib/image/create-image.ts'

await createImageCommand(rocky)
