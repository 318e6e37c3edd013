import type { Awaitable } from './awaitable.ts';
import { AnoleError } from './errors.ts';

export interface ReadOptions {
  readonly signal?: AbortSignal;
}

/**
 * Bytes at offsets: a file, a blob in a registry, a layer seen through its index, a cache in front
 * of another Source.
 */
export interface Source {
  /** Bytes in all. A safe integer. */
  readonly size: number;
  /**
   * Reads exactly `length` bytes from `offset`. The result may alias the Source's own memory: do
   * not write to it, and copy it before keeping it beyond the next read.
   *
   * @throws AnoleError `SOURCE_OUT_OF_RANGE` where the range does not lie inside the Source.
   */
  read(offset: number, length: number, options?: ReadOptions): Awaitable<Uint8Array>;
  /**
   * As `read`, all of `target` from `offset` on. Only Sources have it that answer at once, for
   * readers that use one piece of memory again and again.
   */
  readInto?(offset: number, target: Uint8Array): void;
  /** Frees what the Source holds open. Sources in memory have none. */
  close?(): Awaitable<void>;
}

/** A Source over memory. Reads alias `bytes`. */
export function memorySource(bytes: Uint8Array): Source {
  // A Buffer's own slice() would alias it where others copy.
  const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  return {
    size: bytes.length,
    read(offset, length) {
      checkRange(offset, length, bytes.length);
      return view.subarray(offset, offset + length);
    },
  };
}

/** Bytes that a lending Source keeps for its reads. Longer ones get memory of their own. */
const LENT_MAX = 2 ** 20;

/**
 * The same bytes, read into one piece of memory again and again: where much is read, memory of its own for
 * each read waits for the collector in amounts that count. A result is valid until the next read.
 */
export function lendingSource(source: Source & Required<Pick<Source, 'readInto'>>): Source {
  let memory = new Uint8Array(0);
  return {
    size: source.size,
    read(offset, length) {
      if (length > LENT_MAX) return source.read(offset, length);
      if (memory.length < length) {
        memory = new Uint8Array(Math.min(Math.max(length, 2 * memory.length), LENT_MAX));
      }
      const target = memory.subarray(0, length);
      source.readInto(offset, target);
      return target;
    },
    readInto: (offset, target) => source.readInto(offset, target),
    ...(source.close && { close: () => source.close!() }),
  };
}

/** Raises `SOURCE_OUT_OF_RANGE` unless [offset, offset + length) lies within `size` bytes. */
export function checkRange(offset: number, length: number, size: number): void {
  if (
    offset >= 0 &&
    length >= 0 &&
    offset + length <= size &&
    Number.isInteger(offset) &&
    Number.isSafeInteger(offset + length)
  )
    return;
  throw new AnoleError(
    'SOURCE_OUT_OF_RANGE',
    `Cannot read ${length} bytes at offset ${offset}: the source has ${size} bytes`,
    { details: { offset, length, size } },
  );
}
