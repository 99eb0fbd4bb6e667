/**
 * Build a Debian image for SmartOS and Triton, on any Linux machine.
 *
 *   ./bin/create-image-debian 12
 *   ./bin/create-image-debian 13 --size 20G --include qemu-guest-agent,tmux --customize setup.sh
 *
 * Prints the manifest's path; the image is beside it.
 */
import { debian } from '../distros/debian.ts'
import { createImageCommand } from '../lib/image/create-image.ts'

await createImageCommand(debian)
