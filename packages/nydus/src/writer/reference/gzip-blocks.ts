import { type Checksum, GunzipStream } from '@anole/bytes';

/** The beginning of a block of a gzip stream, at which decoding can begin. */
export interface GzipBlock {
  /** First byte of the stream that is whole, and of what it decodes to. */
  readonly in: number;
  readonly out: number;
  /** The byte before `in`, of which the highest `bits` bits belong to the block; 0 where none do. */
  readonly byte: number;
  readonly bits: number;
  /** Up to 32 KiB before `out`, which the block may refer to. */
  readonly window: Uint8Array;
  /** Number of the member that it belongs to. */
  readonly member: number;
}

/** Decodes a gzip stream of one or more members, and says of each piece where its block began. */
export class GzipBlocks {
  /** Of the piece that was given last. */
  block!: GzipBlock;
  /** Bytes of the stream: those of the block that come before the piece, and those that were needed for it, at most. */
  start = 0;
  end = 0;
  readonly #gunzip: GunzipStream;
  #written = 0;
  #before = 0;

  constructor(checksum?: Checksum) {
    this.#gunzip = new GunzipStream(checksum && { checksum });
    this.#gunzip.stopsAtMembers = true;
  }

  /** Bytes of the stream so far. */
  get size(): number {
    return this.#written;
  }

  /**
   * The pieces that a stream decodes to, none of two blocks.
   *
   * @throws AnoleError `GZIP_DAMAGED`, `DEFLATE_DAMAGED`
   */
  async *decode(stored: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const gunzip = this.#gunzip;
    for await (const chunk of stored) {
      const at = this.#written;
      this.#written += chunk.length;
      gunzip.write(chunk);
      for (;;) {
        const piece = gunzip.read();
        this.start = this.end;
        this.end = gunzip.consumed;
        // What reads archives keeps pieces of headers over the next one.
        if (piece.length > 0) yield piece.slice();
        else if (gunzip.atBoundary) this.#begin(chunk, at);
        else break;
      }
      this.#before = chunk.at(-1) ?? this.#before;
    }
    gunzip.end();
  }

  #begin(chunk: Uint8Array, at: number): void {
    const { consumed, produced } = this.#gunzip;
    const { bits, window } = this.#gunzip.position();
    const byte = consumed > at ? chunk[consumed - at - 1]! : this.#before;
    // Only the first block of a member has nothing behind it.
    const member = (this.block?.member ?? 0) + (window.length === 0 ? 1 : 0);
    this.block = { in: consumed, out: produced, byte: bits > 0 ? byte : 0, bits, window, member };
    // Blocks without data are passed over.
    this.#gunzip.stopAt = produced + 1;
  }
}
