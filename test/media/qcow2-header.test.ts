/** Headers as qemu-img writes them; test/methods/base-image.live.ts has it write them. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkStandsAlone } from '../../lib/media/qcow2-header.ts'
import { refusal } from '../refusal.ts'
import { inTemporaryDir } from '../temporary.ts'

function header({ version = 3, backing = 0, features = 0 }): Buffer {
  const head = Buffer.alloc(512)
  head.write('QFI\xfb', 'latin1')
  head.writeUInt32BE(version, 4)
  head.writeBigUInt64BE(BigInt(backing), 8)
  head.writeUInt32BE(features, 76)
  return head
}

const alone = suite('checkStandsAlone()')
alone('takes what is whole, or no qcow2 at all', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'base')
    // In version 2 there are no features: what stands there is another thing.
    for (const content of [header({}), header({ version: 2, features: 4 }), 'raw', '']) {
      await writeFile(path, content)
      await checkStandsAlone(path)
    }
  }),
)
alone('refuses what names another file', () =>
  inTemporaryDir(async (dir) => {
    const path = join(dir, 'base')
    await writeFile(path, header({ backing: 0x200 }))
    assert.match(await refusal(checkStandsAlone(path)), /it stands on another file/)
    await writeFile(path, header({ version: 2, backing: 0x200 }))
    assert.match(await refusal(checkStandsAlone(path)), /it stands on another file/)
    await writeFile(path, header({ features: 4 }))
    assert.match(await refusal(checkStandsAlone(path)), /has its data in another file/)
  }),
)
alone.run()
