/** Tars of made-up trees: by tar-stream, and block by block where bytes matter that it does not write. */
import { pack, type Header } from 'tar-stream'

export type TreeEntry = Partial<Header> & { name: string; content?: string | Buffer }

/** All times are the epoch's unless an entry has one. */
export async function packTree(entries: readonly TreeEntry[]): Promise<Buffer> {
  const packer = pack()
  for (const { content = '', ...header } of entries) {
    packer.entry({ mtime: new Date(0), ...header }, content)
  }
  packer.finalize()
  const pieces: Buffer[] = []
  for await (const piece of packer as AsyncIterable<Buffer>) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** The ustar header of a file without content, or of another type with some. */
export function headerBlock(name: string, type = '0', size = 0): Buffer {
  const block = Buffer.alloc(512)
  block.write(name)
  block.write('0000644\0', 100)
  for (const at of [108, 116]) block.write('0000000\0', at)
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124)
  block.write('00000000000\0', 136)
  block.write(type, 156)
  block.write('ustar\x0000', 257)
  block.fill(' ', 148, 156)
  const sum = block.reduce((all, byte) => all + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

/** A pax header for the file that follows. */
export function paxBlocks(records: readonly (readonly [string, Buffer])[]): Buffer {
  const content = Buffer.concat(records.map(([key, value]) => paxRecord(key, value)))
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512)
  return Buffer.concat([headerBlock('pax', 'x', content.length), content, padding])
}

function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')])
  // The length counts its own digits.
  let length = rest.length + 1
  while (String(length).length + rest.length !== length) length++
  return Buffer.concat([Buffer.from(String(length)), rest])
}
