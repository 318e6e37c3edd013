import type { Awaitable } from '@anole/bytes';

/**
 * A scratch file: compressed data wait in it until it is known where they lie in the image. It is
 * written from its start on, now and then again from an earlier place, and then read.
 */
export interface Spool {
  /** Bytes are copied, or written, before this returns or resolves. */
  write(offset: number, bytes: Uint8Array): Awaitable<void>;
  /** Valid until the next call. */
  read(offset: number, length: number): Awaitable<Uint8Array>;
}

/** Pieces of memory; their sum is the largest end written to. */
const CHUNK = 1024 * 1024;

/** A Spool in memory: as large as the compressed data. */
export function memorySpool(): Spool {
  const chunks: Uint8Array[] = [];
  const each = (offset: number, length: number, use: (part: Uint8Array, at: number) => void) => {
    for (let done = 0; done < length; ) {
      const index = Math.floor((offset + done) / CHUNK);
      while (chunks.length <= index) chunks.push(new Uint8Array(CHUNK));
      const start = (offset + done) % CHUNK;
      const count = Math.min(CHUNK - start, length - done);
      use(chunks[index]!.subarray(start, start + count), done);
      done += count;
    }
  };
  return {
    write(offset, bytes) {
      each(offset, bytes.length, (part, at) => part.set(bytes.subarray(at, at + part.length)));
    },
    read(offset, length) {
      const out = new Uint8Array(length);
      each(offset, length, (part, at) => out.set(part, at));
      return out;
    },
  };
}
