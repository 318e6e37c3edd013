import type { OutsideStream } from '../outside.ts';
import { advance, distance, type Segment } from './segment.ts';

/** By how many bits our windows are scaled, where the guest scales its own (RFC 7323, 2.2). */
export const windowScale = 7;
const mostUnscaled = 0xffff;
/** Bytes that the guest may have sent without hearing of them while it goes on. */
const unheard = 1 << 18;

/** What a connection takes of the guest: numbers, window, end. */
export class Receiver {
  /** The guest's SYN has come: the rest is of use. */
  isSynchronized = false;
  /** Number of the guest's next byte. */
  expected = 0;
  /** The guest's FIN has come. */
  hasEnded = false;
  /** Whether windows are scaled. */
  isScaled = false;
  /** Number behind the window that the guest was told. */
  #windowEnd = 0;
  /** What it was last told of {@link expected}. */
  #told = 0;

  /** Takes the guest's SYN. */
  synchronize({ sequence, options }: Segment): void {
    this.expected = advance(sequence, 1);
    this.#windowEnd = this.expected;
    this.#told = this.expected;
    this.isSynchronized = true;
    this.isScaled = options.windowScale !== undefined;
  }

  /** Bytes that the guest may send as far as it knows. */
  get room(): number {
    return distance(this.expected, this.#windowEnd);
  }

  /** Whether the guest should hear of us at once: it sent much, waits for a window, or has ended. */
  get isUrgent(): boolean {
    const silent = distance(this.#told, this.expected) >= unheard;
    return silent || this.room < unheard / 2 || this.hasEnded;
  }

  isInWindow(sequence: number): boolean {
    const ahead = distance(this.expected, sequence);
    return ahead >= 0 && ahead <= this.room;
  }

  /**
   * Hands what is new of a segment's data, and fits, to the host's stream.
   *
   * @param past bytes at its beginning that came before; negative where some are missing
   * @param ends whether FIN is behind the data
   * @returns whether the stream keeps the data's memory
   */
  take(data: Uint8Array, past: number, ends: boolean, stream: OutsideStream): boolean {
    if (past < 0 || past > data.length || this.hasEnded) return false;
    const fresh = data.subarray(past, past + this.room);
    this.expected = advance(this.expected, fresh.length);
    const kept = fresh.length > 0 && stream.write(fresh);
    if (ends && past + fresh.length === data.length) {
      this.expected = advance(this.expected, 1);
      this.hasEnded = true;
      stream.end();
    }
    return kept;
  }

  /** The window to tell where there is room for so many bytes: what was promised stays. */
  window(free: number): number {
    const window = Math.max(free, this.room, 0);
    if (!this.isScaled) return Math.min(window, mostUnscaled);
    return (Math.min(window, mostUnscaled << windowScale) >>> windowScale) << windowScale;
  }

  /** By how much a window would let the guest send more. */
  gain(window: number): number {
    return window - this.room;
  }

  /** A window as it stands in a header. */
  field(window: number, isSyn: boolean): number {
    return isSyn || !this.isScaled ? Math.min(window, mostUnscaled) : window >>> windowScale;
  }

  /** The guest has been told all that there is to tell. */
  told(window: number, isSyn: boolean): void {
    this.#told = this.expected;
    const end = advance(this.expected, isSyn ? Math.min(window, mostUnscaled) : window);
    if (distance(this.#windowEnd, end) > 0) this.#windowEnd = end;
  }
}
