import { readSync } from 'node:fs';
import { checkRange, type Source } from '@anole/bytes';
import type { FileSource } from '@anole/host';

/** A page of the guest's: what it touches lies apart, and more would be read in vain. */
const chunkBytes = 0x1000;
/** Chunks that are kept, 8 MiB: what a start touches, for the next machine. */
const chunkCount = 2048;

/**
 * A file read in chunks that are kept for a while: machines of a thread touch the same pages as they start.
 * What a read gives is valid until the next one.
 */
export function chunkedSource(file: FileSource): Source {
  const memory = new Uint8Array(chunkCount * chunkBytes);
  /** Which chunk of the file each slot holds. */
  const held = new Int32Array(chunkCount).fill(-1);
  const slots = new Map<number, number>();
  let next = 0;
  const load = (chunk: number): number => {
    const slot = next;
    next = (next + 1) % chunkCount;
    slots.delete(held[slot]!);
    held[slot] = chunk;
    readSync(file.fd, memory, slot * chunkBytes, chunkBytes, chunk * chunkBytes);
    slots.set(chunk, slot);
    return slot;
  };
  return {
    size: file.size,
    close: () => file.close(),
    read(offset, length) {
      checkRange(offset, length, file.size);
      const chunk = Math.floor(offset / chunkBytes);
      const within = offset - chunk * chunkBytes;
      if (within + length > chunkBytes) return file.read(offset, length);
      const at = (slots.get(chunk) ?? load(chunk)) * chunkBytes + within;
      return memory.subarray(at, at + length);
    },
  };
}
