import type { GuestMemory } from '../guest-memory.ts';
import * as at from '../layout.ts';
import type { decodeFrom } from './decode.ts';
import { OPERAND_BITS, Special } from './special.ts';

const PAGE = 4096;
/** A page that was written so often while it was decoded is not decoded again. */
const STRIKES = 16;

/** Fills slots: loaded when the first page is worth it. */
export type Decode = typeof decodeFrom;

/**
 * Pages of RAM in the form that the decoded loop executes, see {@link ./slots.ts}. Whoever decodes a page has writes
 * to it noticed.
 */
export class DecodedPages {
  readonly #halves: Uint16Array;
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  /** By the numbers of pages. */
  readonly #frameOf: Uint16Array;
  /** In the order of their making. */
  readonly #pages = new Set<number>();
  readonly #free: number[] = [];
  /** How often pages were written while they were decoded. */
  readonly #strikes = new Map<number, number>();
  readonly #room: number;
  #used = 0;
  #decode: Decode | undefined;

  /** @param room pages that are decoded at the same time */
  constructor(memory: GuestMemory, room: number = at.FRAME_COUNT) {
    this.#room = Math.min(room, at.FRAME_COUNT);
    const { buffer } = memory.wasm;
    this.#halves = new Uint16Array(buffer);
    this.#words = new Int32Array(buffer);
    this.#doubles = new Float64Array(buffer);
    this.#frameOf = new Uint16Array(buffer, at.FRAME_OF, at.FRAME_OF_BYTES / 2);
  }

  has(page: number): boolean {
    return this.#pages.has(page);
  }

  /** Gives a page a frame, with nothing in it. Drops the oldest one when there is no room. */
  add(page: number, decode: Decode): void {
    this.#decode = decode;
    const frame = this.#take();
    this.#words[at.HAS_FRAMES >> 2] = 1;
    const start = slotsOf(frame);
    // Faster than words, where memory is declared as shared: a slot at a time.
    this.#doubles.fill(0, start / 2, (start + PAGE) / 2);
    this.#words[start + PAGE] = Special.end;
    this.#frameOf[page] = frame;
    this.#pages.add(page);
  }

  /** Decodes what is executed from a place on, as far as that is plain. */
  decodeFrom(place: number): void {
    const frame = this.#frameOf[at.pageOf(place)]!;
    if (frame === 0) return;
    const half = halfOf(place);
    const slots = slotsOf(frame) + 2 * half;
    this.#decode!(this.#halves, place >>> 1, this.#words, slots, half);
  }

  /** Compiled code, of an index in the table of functions, begins at a place. */
  enter(place: number, index: number): void {
    this.#put(place, Special.compiled, index);
  }

  /** None begins there any more. */
  restore(place: number): void {
    this.#put(place, Special.empty, 0);
  }

  #put(place: number, low: number, high: number): void {
    const frame = this.#frameOf[at.pageOf(place)]!;
    if (frame === 0) return;
    const slot = slotsOf(frame) + 2 * halfOf(place);
    // What comes before may be executed together with what was there.
    if (halfOf(place) > 0) this.#part(slot - 2);
    if (halfOf(place) > 1) this.#part(slot - 4);
    this.#words[slot] = low;
    this.#words[slot + 1] = high;
  }

  /** Has a slot decoded anew. Its operands stay: it may be the second one of what comes before it. */
  #part(slot: number): void {
    if (this.#words[slot] !== Special.compiled) this.#words[slot]! &= OPERAND_BITS;
  }

  /** A page is about to be written. */
  written(page: number): void {
    if (this.#drop(page)) this.#strikes.set(page, (this.#strikes.get(page) ?? 0) + 1);
  }

  /** Whether a page is written too often to be decoded. Says nothing of compiling it. */
  isGivenUp(page: number): boolean {
    return (this.#strikes.get(page) ?? 0) >= STRIKES;
  }

  /** Whether the page had a frame. */
  #drop(page: number): boolean {
    if (!this.#pages.delete(page)) return false;
    this.#free.push(this.#frameOf[page]!);
    this.#frameOf[page] = 0;
    return true;
  }

  /** Leaves the memory to others. */
  release(): void {
    for (const page of [...this.#pages]) this.#drop(page);
  }

  #take(): number {
    if (this.#free.length === 0 && this.#used === this.#room) {
      const [oldest] = this.#pages;
      this.#drop(oldest!);
    }
    return this.#free.pop() ?? ++this.#used;
  }
}

/** Index in words of the first slot of a frame. */
const slotsOf = (frame: number): number => (at.FRAMES + (frame - 1) * at.FRAME_BYTES) / 4;
const halfOf = (place: number): number => (place & (PAGE - 1)) >>> 1;
