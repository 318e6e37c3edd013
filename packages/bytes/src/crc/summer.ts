import { DATA, PAGES, ROOM } from './layout.ts';
import { moduleBytes } from './module-bytes.ts';

/** Goes on with the register of a CRC over bytes, so many times eight. */
type Summer = (crc: number, bytes: Uint8Array) => number;

let module: WebAssembly.Module | undefined;

/**
 * Sums in WebAssembly, which is fast from the first byte on: a program that has just started executes other code
 * byte by byte for milliseconds before the host compiles it, and what it starts from are checked megabytes. Undefined
 * where the host has none, or allows none.
 *
 * @param tables eight of 256 words
 */
export function crcSummer(tables: Int32Array): Summer | undefined {
  try {
    module ??= new WebAssembly.Module(moduleBytes);
    const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES });
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    const sum = exports['sum'] as (crc: number, end: number) => number;
    new Int32Array(memory.buffer).set(tables);
    const room = new Uint8Array(memory.buffer, DATA, ROOM);
    return (crc, bytes) => {
      let register = crc;
      for (let at = 0; at < bytes.length; at += ROOM) {
        const piece = bytes.subarray(at, at + ROOM);
        room.set(piece);
        register = sum(register, DATA + piece.length);
      }
      return register;
    };
  } catch {
    return undefined;
  }
}
