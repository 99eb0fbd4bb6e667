/** An image for arm64 of layout lvm, built by bootstrap and booted. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { bootArm64, buildArm64 } from '../arm64.ts'
import { assertNothingLeft, leftovers, machineMirrors, workDir } from '../live.ts'

const { dir, remove } = await workDir()
const before = leftovers()

const images = suite('images for arm64, layout lvm')
images.after(remove)
images('boot from the logical volume', async () => {
  const disk = await buildArm64(dir, 'lvm', '--layout', 'lvm', ...machineMirrors())
  assertNothingLeft(before)
  await bootArm64(disk, async ({ ask }) => {
    assert.match(await ask('findmnt -n -o SOURCE /'), /^\/dev\/mapper\/rootvg-rootlv$/m)
    assert.match(await ask('systemctl --failed --no-legend | wc -l'), /^0$/m)
  })
})
images.run()
