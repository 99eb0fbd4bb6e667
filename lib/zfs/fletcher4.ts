/**
 * Fletcher-4, the checksum of ZFS send streams: four 64-bit sums over little-endian 32-bit words.
 *
 * BigInt is some hundred times too slow for it, so the inner loop is WebAssembly: fletcher4.wat,
 * with fletcher4.wasm made from it by wabt (a test proves that they belong together, and makes it
 * anew when run with UPDATE=1). Source: OpenZFS, module/zcommon/zfs_fletcher.c, head comment.
 */
import { readFileSync } from 'node:fs'

// @types/node has no WebAssembly, and TypeScript's DOM library would bring a browser with it.
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object) => { exports: unknown }
}

type Kernel = { memory: { buffer: ArrayBuffer }; add: (at: number, end: number) => void }

const module = new WebAssembly.Module(readFileSync(new URL('fletcher4.wasm', import.meta.url)))

/** Where data begin in the kernel's memory, behind the state. */
const DATA = 64
const STATE_BYTES = 32

/** A running checksum. Its state is 32 bytes: the sums a, b, c, d, little-endian. */
export class Fletcher4 {
  #kernel = new WebAssembly.Instance(module).exports as Kernel // what fletcher4.wat exports
  #memory = Buffer.from(this.#kernel.memory.buffer)
  #room = this.#memory.length - DATA

  /**
   * Add bytes: whole words, of any number.
   *
   * @throws {RangeError} when the number of bytes is no multiple of 4
   */
  update(bytes: Uint8Array): void {
    if (bytes.length % 4 !== 0) throw new RangeError(`${bytes.length} bytes are no multiple of 4`)
    for (let from = 0; from < bytes.length; from += this.#room) {
      const part = bytes.subarray(from, from + this.#room)
      this.#memory.set(part, DATA)
      this.#kernel.add(DATA, DATA + part.length)
    }
  }

  /** Copy the state to a place in a buffer. */
  writeTo(target: Uint8Array, offset: number): void {
    target.set(this.#memory.subarray(0, STATE_BYTES), offset)
  }

  /** The state, as 32 bytes. */
  digest(): Buffer {
    return Buffer.from(this.#memory.subarray(0, STATE_BYTES))
  }
}
