import type { GuestMemory } from '../../hart/guest-memory.ts';

/** Buffers side by side in guest memory; checked to lie in RAM when the chain was taken from its queue. */
export interface Segment {
  readonly address: number;
  readonly length: number;
}

/** What a driver made available at once: buffers to read, then buffers to write. */
export interface DescriptorChain {
  /** Index of the first descriptor: the chain's name towards the driver. */
  readonly head: number;
  /** The queue's life in which it was taken; after a reset it is void. */
  readonly generation: number;
  readonly readable: readonly Segment[];
  readonly writable: readonly Segment[];
  readonly readableLength: number;
  readonly writableLength: number;
}

/** Copies all that a driver gave to read into `target`, which has `readableLength` bytes or more. */
export function gather(memory: GuestMemory, chain: DescriptorChain, target: Uint8Array): void {
  let at = 0;
  for (const { address, length } of chain.readable) {
    target.set(memory.readable(address, length), at);
    at += length;
  }
}

/**
 * Copies `chunks`, one after another, into the chain's writable buffers from their byte `start` on.
 * Returns how many bytes found room.
 */
export function scatter(
  memory: GuestMemory,
  { writable }: Pick<DescriptorChain, 'writable'>,
  chunks: readonly Uint8Array[],
  start = 0,
): number {
  let index = 0;
  let used = start;
  while (index < writable.length && used >= writable[index]!.length) {
    used -= writable[index++]!.length;
  }
  let total = 0;
  for (const chunk of chunks) {
    let at = 0;
    while (at < chunk.length && index < writable.length) {
      const segment = writable[index]!;
      const length = Math.min(chunk.length - at, segment.length - used);
      const part = length === chunk.length ? chunk : chunk.subarray(at, at + length);
      memory.write(segment.address + used, part);
      at += length;
      used += length;
      if (used === segment.length) {
        index++;
        used = 0;
      }
    }
    total += at;
  }
  return total;
}
