/** Bytes of the pieces a packer gives. */
const PIECE = 256 * 1024;

/**
 * Gathers bytes into pieces of one size. All that is added is copied, so what it gives may be kept.
 */
export class Packer {
  /** Bytes added so far. */
  position = 0;
  private buffer = new Uint8Array(PIECE);
  private used = 0;

  /** Adds bytes; gives the pieces that became full. */
  *add(bytes: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < bytes.length; ) {
      const length = Math.min(bytes.length - at, PIECE - this.used);
      this.buffer.set(bytes.subarray(at, at + length), this.used);
      at += length;
      yield* this.advance(length);
    }
  }

  *addZeros(count: number): Generator<Uint8Array> {
    for (let left = count; left > 0; ) {
      const length = Math.min(left, PIECE - this.used);
      left -= length;
      yield* this.advance(length);
    }
  }

  /** What is left. */
  *end(): Generator<Uint8Array> {
    if (this.used > 0) yield this.buffer.subarray(0, this.used);
  }

  private *advance(length: number): Generator<Uint8Array> {
    this.position += length;
    this.used += length;
    if (this.used < PIECE) return;
    yield this.buffer;
    this.buffer = new Uint8Array(PIECE);
    this.used = 0;
  }
}
