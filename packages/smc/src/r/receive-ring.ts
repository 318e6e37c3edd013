import type { CdcCursor } from '../cdc/message.ts';
import type { MemoryRegion, MemoryRegions } from '../roce/memory-regions.ts';
import { advance, cursorAt } from './cursor.ts';

/** The ring of a connection that the peer writes: what the protocol calls an RMB of one element. */
export class ReceiveRing {
  readonly region: MemoryRegion;
  readonly #bytes: Uint8Array;
  #produced = 0;
  #consumed = 0;
  /** What the peer was told of `#consumed`. */
  #told = 0;

  constructor(memory: MemoryRegions, size: number) {
    this.#bytes = new Uint8Array(size);
    this.region = memory.register(this.#bytes);
  }

  get size(): number {
    return this.#bytes.length;
  }

  get unread(): number {
    return this.#produced - this.#consumed;
  }

  /** The peer has written up to there; see {@link advance} for what it throws. */
  onProduced(cursor: CdcCursor): void {
    const limit = this.size - this.unread;
    this.#produced = advance(this.#produced, cursor, this.size, limit);
  }

  /** The last byte that was written, which an urgent one is when its message comes. */
  get last(): number {
    return this.#bytes[(this.#produced - 1 + this.size) % this.size]!;
  }

  /** A copy of what is unread, up to the end of this round, which is read then. */
  take(): Uint8Array {
    const start = this.#consumed % this.size;
    const piece = this.#bytes.slice(start, Math.min(start + this.unread, this.size));
    this.#consumed += piece.length;
    return piece;
  }

  /** Bytes that are free, and the peer does not know it. */
  get untold(): number {
    return this.#consumed - this.#told;
  }

  /** Where it has been read to, for a message that tells the peer. */
  tell(): CdcCursor {
    this.#told = this.#consumed;
    return cursorAt(this.#consumed, this.size);
  }
}
