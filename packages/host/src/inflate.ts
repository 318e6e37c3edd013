import { constants, inflateRawSync } from 'node:zlib';

/** Bytes of output made at once. */
const CHUNK = 8 * 1024 * 1024;
/** Of zlib. */
const LEAST_CHUNK = 64;

/** Of a gzip member's header. Source: RFC 1952, 2.3. */
const HEADER = 10;
const flag = { headerCrc: 2, extra: 4, name: 8, comment: 16 } as const;

/**
 * What the first of gzip members decodes to, by Node's own zlib; its checksum is not looked at, nor is what follows.
 * Undefined where that are more than `most` bytes, or the input is cut off or damaged: then another decoder tells which.
 */
export function hostGunzip(stored: Uint8Array, most: number): Uint8Array | undefined {
  const start = bodyStart(stored);
  if (start === undefined) return undefined;
  try {
    return inflateRawSync(stored.subarray(start), {
      maxOutputLength: Math.max(1, most),
      chunkSize: chunkOf(most),
    });
  } catch {
    return undefined;
  }
}

/** Where the header of a gzip member ends; undefined where there is none, or it is damaged. */
function bodyStart(stored: Uint8Array): number | undefined {
  if (stored.length < HEADER || stored[0] !== 0x1f || stored[1] !== 0x8b || stored[2] !== 8) {
    return undefined;
  }
  const flags = stored[3]!;
  let at = HEADER;
  if (flags & flag.extra) at += 2 + (stored[at] ?? 0) + 256 * (stored[at + 1] ?? 0);
  for (const text of [flag.name, flag.comment]) {
    if ((flags & text) === 0) continue;
    const end = stored.indexOf(0, at);
    if (end < 0) return undefined;
    at = end + 1;
  }
  if (flags & flag.headerCrc) at += 2;
  return at < stored.length ? at : undefined;
}

/** Where decoding begins within a deflate stream. */
export interface InflateFrom {
  /** High bits of the first byte with which a block begins: 1 to 7, or 0 for all of it. */
  readonly bits: number;
  /** Up to 32 KiB of what was decoded before. */
  readonly window: Uint8Array;
}

/**
 * The first bytes of what a deflate stream decodes to from the beginning of a block on, by Node's own zlib. Undefined
 * where it has fewer in this member, or the input is damaged: then another decoder tells which.
 */
export function hostInflate(
  { bits, window }: InflateFrom,
  stored: Uint8Array,
  size: number,
): Uint8Array | undefined {
  try {
    const decoded = inflateRawSync(bits === 0 ? stored : aligned(stored, bits), {
      ...(window.length > 0 && { dictionary: window }),
      finishFlush: constants.Z_SYNC_FLUSH,
      chunkSize: chunkOf(size),
      maxOutputLength: Math.max(1, size),
    });
    return decoded.length === size ? decoded : undefined;
  } catch {
    return undefined;
  }
}

/** Room for one byte more: where output fills it, zlib asks for another piece of memory to find that there is no more. */
function chunkOf(size: number): number {
  return Math.min(Math.max(size + 1, LEAST_CHUNK), CHUNK);
}

/** Memory for input with blocks before it, used again and again up to this size. */
const SCRATCH = 1024 * 1024;
let scratch = new Uint8Array(0);

/**
 * zlib begins at whole bytes. So before a block that begins within one come empty blocks that end there. The result is
 * valid until the next call.
 */
function aligned(stored: Uint8Array, bits: number): Uint8Array {
  const before = blocksUpTo(8 - bits);
  const last = before.length - 1;
  const whole = memoryOf(last + stored.length);
  whole.set(before);
  whole.set(stored.subarray(1), last + 1);
  whole[last]! |= stored[0]! & (0xff << (8 - bits));
  return whole;
}

function memoryOf(size: number): Uint8Array {
  if (size > SCRATCH) return new Uint8Array(size);
  if (scratch.length < size) scratch = new Uint8Array(Math.min(2 * size, SCRATCH));
  return scratch.subarray(0, size);
}

const known = new Map<number, Uint8Array>();

/** Empty blocks whose last byte has so many bits of them. Source: RFC 1951, 3.2. */
function blocksUpTo(place: number): Uint8Array {
  const found = known.get(place) ?? makeBlocks(place);
  known.set(place, found);
  return found;
}

function makeBlocks(place: number): Uint8Array {
  const bits: number[] = [];
  const put = (value: number, count: number) => {
    for (let at = 0; at < count; at++) bits.push((value >> at) & 1);
  };
  if (place % 2 === 1) putOddBlock(put);
  // Fixed codes, and the end of the block: ten bits.
  while (bits.length % 8 !== place) {
    put(0b010, 3);
    put(0, 7);
  }
  const bytes = new Uint8Array(Math.ceil(bits.length / 8));
  for (const [at, bit] of bits.entries()) bytes[at >> 3]! |= bit << (at & 7);
  return bytes;
}

/** A block of 93 bits with codes of its own, of which it uses the one that ends it. */
function putOddBlock(put: (value: number, count: number) => void): void {
  put(0b100, 3);
  // 257 literals and lengths, one distance, 19 lengths of code lengths.
  put(0, 5);
  put(0, 5);
  put(19 - 4, 4);
  // In the order 16, 17, 18, 0, …, 1, 15: one bit each for 1 (code 0) and for 18 (code 1), which repeats 0.
  for (let at = 0; at < 19; at++) put(at === 2 || at === 17 ? 1 : 0, 3);
  // 138 and 118 symbols of no bits, then one bit for the end, and one for the distance.
  put(1, 1);
  put(138 - 11, 7);
  put(1, 1);
  put(118 - 11, 7);
  put(0, 2);
  // The end.
  put(0, 1);
}
