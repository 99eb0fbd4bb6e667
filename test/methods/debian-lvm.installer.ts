/** Debian's own installer, layout lvm: an hour without KVM. What it needs, vendor-installer.ts says. */
import { suite } from 'uvu'
import { installAndTest } from '../vendor-installer.ts'

const installing = suite('create-image-debian 13 --method installer --layout lvm')
installing('makes an image that passes test-image', () => installAndTest('lvm'))
installing.run()
