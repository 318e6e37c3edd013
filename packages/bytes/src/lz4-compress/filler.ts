import { compileKernel } from '../wasm/index.ts';
import { chainsKernel } from './chains-kernel.ts';
import { fastKernel } from './fast-kernel.ts';
import { KERNEL_RESULT } from './sequence-kernel.ts';

/** Levels of {@link lz4Filler}, those of `lz4 -N` and LZ4HC. */
export const LZ4_LEVEL_MAX = 12;
/** The first bytes of a filler's memory, which are its own. A multiple of 64 KiB. */
export const LZ4_SCRATCH_SIZE = 512 * 1024;
/** Bytes beyond the ends of source and target that a filler may read, or write. */
export const LZ4_SLACK = 64;

/**
 * Makes LZ4 blocks that fill a given room: as much input as fits goes in. Blocks are independent of
 * each other.
 */
export interface Lz4Filler {
  /**
   * Encodes bytes of the memory from `start` on, before `end`, into at most `room` bytes from `target`
   * on. Where there is too little room to be of use, `consumed` is 0.
   */
  fill(start: number, end: number, target: number, room: number): Lz4Filled;
}

export interface Lz4Filled {
  /** Bytes of the source in the block. */
  readonly consumed: number;
  /** Bytes of the block. */
  readonly produced: number;
}

/**
 * A compressor for LZ4 blocks of fixed output size. It works in a memory that the caller gives, above
 * the first {@link LZ4_SCRATCH_SIZE} bytes, where sources and targets have {@link LZ4_SLACK} bytes behind
 * them. One caller at a time.
 *
 * @param level 0 to 2 is fast; 3 to 12 search longer (9 is the usual "high compression").
 * @example
 * const memory = new WebAssembly.Memory({ initial: 64 });
 * const filler = lz4Filler(0, memory);
 * new Uint8Array(memory.buffer).set(source, LZ4_SCRATCH_SIZE);
 * const end = LZ4_SCRATCH_SIZE + source.length;
 * const { consumed, produced } = filler.fill(LZ4_SCRATCH_SIZE, end, end + LZ4_SLACK, 4096);
 */
export function lz4Filler(level: number, memory: WebAssembly.Memory): Lz4Filler {
  const { buffer } = memory;
  const shared = !(buffer instanceof ArrayBuffer);
  const kernel = level < 3 ? fastKernel : chainsKernel(Math.min(level, LZ4_LEVEL_MAX));
  const module = new WebAssembly.Module(compileKernel(kernel, { shared }));
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const fill = exports['fill'] as (s: number, e: number, t: number, room: number) => number;
  return {
    fill(start, end, target, room) {
      const produced = fill(start, end, target, room);
      return { consumed: new Int32Array(memory.buffer)[KERNEL_RESULT / 4]!, produced };
    },
  };
}
