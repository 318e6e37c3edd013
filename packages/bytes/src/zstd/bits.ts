import { AnoleError } from '../errors.ts';

/** Bytes of zeros that stand before and after the input, so that looks beyond it need no check. */
export const MARGIN = 8;

export function damaged(reason: string, offset: number): never {
  throw new AnoleError(
    'ZSTD_DAMAGED',
    `Cannot decode the ZSTD frame: ${reason} (at byte ${offset})`,
    {
      details: { offset },
    },
  );
}

/** The frame, with margins. Offsets count from the first margin. */
export class Input {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly end: number;

  constructor(frame: Uint8Array) {
    this.bytes = new Uint8Array(frame.length + 2 * MARGIN);
    this.bytes.set(frame, MARGIN);
    this.view = new DataView(this.bytes.buffer);
    this.end = MARGIN + frame.length;
  }

  fail(reason: string, at: number): never {
    return damaged(reason, Math.max(0, at - MARGIN));
  }
}

/** Reads bits from the end of a stream to its beginning. Source: RFC 8878, 4.1. */
export class BackwardBits {
  readonly #input: Input;
  readonly #start: number;
  /** Bit of the input after the next one. Below `#start` once more was read than there is. */
  #at: number;

  /** The stream lies at [start, end) of the input. */
  constructor(input: Input, start: number, end: number) {
    const last = end > start ? input.bytes[end - 1]! : 0;
    if (last === 0) input.fail('a stream of bits has no end', end);
    this.#input = input;
    this.#start = start * 8;
    this.#at = (end - 1) * 8 + 31 - Math.clz32(last);
  }

  /** The next 0 to 31 bits. Those before the beginning are not to be used: see `left`. */
  read(count: number): number {
    if (count > 24) {
      const high = this.read(count - 16);
      return high * 0x10000 + this.read(16);
    }
    this.#at -= count;
    if (this.#at < this.#start - 64)
      this.#input.fail('a stream of bits is too short', this.#start >> 3);
    const { view } = this.#input;
    return (view.getUint32(this.#at >> 3, true) >>> (this.#at & 7)) & ((1 << count) - 1);
  }

  /** Bits that are left; negative where too many were read. */
  get left(): number {
    return this.#at - this.#start;
  }

  /** Byte of the input at which reading is. */
  get offset(): number {
    return this.#at >> 3;
  }
}
