import type { CdcCursor } from '../cdc/message.ts';
import type { WorkRequest } from '../roce/requester.ts';
import { advance, cursorAt } from './cursor.ts';

/** The peer's ring, as it said in Accept or Confirm. */
export interface PeerElement {
  readonly rkey: number;
  readonly address: bigint;
  /** Bytes. */
  readonly size: number;
  /** What its connection is called in messages. */
  readonly token: number;
}

/** How far the peer's ring is filled. */
export class SendRing {
  readonly #element: PeerElement;
  #produced = 0;
  #consumed = 0;

  constructor(element: PeerElement) {
    this.#element = element;
  }

  get free(): number {
    return this.#element.size - (this.#produced - this.#consumed);
  }

  get producer(): CdcCursor {
    return cursorAt(this.#produced, this.#element.size);
  }

  /** The peer has read up to there; see {@link advance} for what it throws. */
  onConsumed(cursor: CdcCursor): void {
    const { size } = this.#element;
    this.#consumed = advance(this.#consumed, cursor, size, this.#produced - this.#consumed);
  }

  /**
   * The writes that put bytes there, of which no more than {@link free} are: two where the ring goes
   * round within them.
   *
   * @param bytes must not change until they are acknowledged
   */
  fill(bytes: Uint8Array): WorkRequest[] {
    const { rkey, address, size } = this.#element;
    const start = this.#produced % size;
    const first = Math.min(bytes.length, size - start);
    this.#produced += bytes.length;
    const to = (offset: number) => ({ rkey, address: address + BigInt(offset) });
    return [
      { payload: bytes.subarray(0, first), write: to(start) },
      { payload: bytes.subarray(first), write: to(0) },
    ].filter(({ payload }) => payload.length > 0);
  }
}
