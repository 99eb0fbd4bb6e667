/** Debian's own installer, layout plain: an hour without KVM. What it needs, vendor-installer.ts says. */
import { suite } from 'uvu'
import { installAndTest } from '../vendor-installer.ts'

const installing = suite('create-image-debian 13 --method installer --layout plain')
installing('makes an image that passes test-image', () => installAndTest('plain'))
installing.run()
