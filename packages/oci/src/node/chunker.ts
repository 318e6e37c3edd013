/** How files are cut into chunks, whose equal ones are stored once. */
export interface Chunking {
  readonly kind: 'fixed' | 'content';
  /** Bytes of a chunk; where content decides, on average. A power of two, 4 KiB to 16 MiB. */
  readonly size: number;
}

/** Chunks of content have between a quarter of their average and four times it. */
const SPREAD = 4;

/** Takes the bytes of one file after another, and gives its chunks: each is valid until the next. */
export class Chunker {
  private readonly chunking: Chunking;
  private readonly buffer: Uint8Array;
  private filled = 0;

  constructor(chunking: Chunking) {
    this.chunking = chunking;
    this.buffer = new Uint8Array(chunking.size * (chunking.kind === 'fixed' ? 1 : SPREAD));
  }

  *add(bytes: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + this.buffer.length - this.filled);
      this.buffer.set(part, this.filled);
      this.filled += part.length;
      at += part.length;
      if (this.filled === this.buffer.length) yield* this.cut();
    }
  }

  /** The file has ended. */
  *end(): Generator<Uint8Array> {
    while (this.filled > 0) yield* this.cut();
  }

  private *cut(): Generator<Uint8Array> {
    const { buffer, filled } = this;
    const length =
      this.chunking.kind === 'fixed'
        ? filled
        : contentLength(buffer.subarray(0, filled), this.chunking.size);
    yield buffer.subarray(0, length);
    buffer.copyWithin(0, length, filled);
    this.filled = filled - length;
  }
}

/**
 * Where the first chunk of some bytes ends, by what is in them: so that chunks behind an insertion are
 * the same again. A "gear" hash with two masks, a stricter one below the average size. Source: Xia et
 * al., "FastCDC", USENIX ATC 2016.
 */
function contentLength(bytes: Uint8Array, average: number): number {
  const bits = Math.log2(average);
  const strict = topBits(bits + 1);
  const loose = topBits(bits - 1);
  const middle = Math.min(average, bytes.length);
  let hash = 0;
  let at = average / SPREAD;
  for (; at < middle; at++) {
    hash = ((hash << 1) + gear[bytes[at]!]!) | 0;
    if ((hash & strict) === 0) return at;
  }
  for (; at < bytes.length; at++) {
    hash = ((hash << 1) + gear[bytes[at]!]!) | 0;
    if ((hash & loose) === 0) return at;
  }
  return bytes.length;
}

/** The high bits of the hash are those that the last 32 bytes have mixed in. */
function topBits(count: number): number {
  return -1 << (32 - count);
}

/** Any numbers without a pattern; the same in every run, or chunks would not be. */
const gear = Int32Array.from({ length: 256 }, (_, byte) => {
  let value = (byte + 1) * 0x9e3779b1;
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return value ^ (value >>> 16);
});
