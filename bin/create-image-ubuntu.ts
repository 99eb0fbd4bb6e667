/**
 * Build an Ubuntu image for SmartOS and Triton, from a package mirror or with Ubuntu's own installer.
 *
 *   ./bin/create-image-ubuntu 24.04
 *   ./bin/create-image-ubuntu 22.04 --method installer --layout lvm
 *
 * Prints the manifest's path; the image is beside it.
 */
import { ubuntu } from '../distros/ubuntu.ts'
import { createImageCommand } from '../lib/image/create-image.ts'

await createImageCommand(ubuntu)
