import type { RemoteFence } from '../platform/sbi-harts.ts';
import * as at from './layout.ts';

const fences = Object.values(at.Fence);

/** One hart as all threads see it: its block in the shared memory. */
export class HartLink {
  readonly index: number;
  /** Place of ATTENTION in the shared memory. */
  readonly place: number;
  readonly #words: Int32Array;
  readonly #longs: BigInt64Array;
  readonly #doubles: Float64Array;
  readonly #bytes: Uint8Array;

  constructor({ buffer }: WebAssembly.Memory, index: number) {
    const block = at.blockOf(index);
    this.index = index;
    this.place = block + at.ATTENTION;
    this.#words = new Int32Array(buffer, block, at.BLOCK / 4);
    this.#longs = new BigInt64Array(buffer, block, at.BLOCK / 8);
    this.#doubles = new Float64Array(buffer, block, at.BLOCK / 8);
    this.#bytes = new Uint8Array(buffer, block, at.BLOCK);
  }

  get(word: number): number {
    return Atomics.load(this.#words, word >> 2);
  }

  set(word: number, value: number): void {
    Atomics.store(this.#words, word >> 2, value);
  }

  /** Sets a word and gives what it was. */
  exchange(word: number, value: number): number {
    return Atomics.exchange(this.#words, word >> 2, value);
  }

  /** Whether the word was `from`, and now is `to`. */
  change(word: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#words, word >> 2, from, to) === from;
  }

  /** Sets bits of a word and gives what it was. */
  add(word: number, bits: number): number {
    return Atomics.or(this.#words, word >> 2, bits);
  }

  /** Counts a word up, or down. */
  count(word: number, by: 1 | -1 = 1): void {
    Atomics.add(this.#words, word >> 2, by);
  }

  getLong(field: number): bigint {
    return Atomics.load(this.#longs, field >> 3);
  }

  setLong(field: number, value: bigint): void {
    Atomics.store(this.#longs, field >> 3, value);
  }

  /** Not atomic: some word set afterwards tells that it is there. */
  getDouble(field: number): number {
    return this.#doubles[field >> 3]!;
  }

  setDouble(field: number, value: number): void {
    this.#doubles[field >> 3] = value;
  }

  /** DATA. Aliases the shared memory. */
  data(length: number): Uint8Array {
    return this.#bytes.subarray(at.DATA, at.DATA + length);
  }

  /** Makes the hart look up soon: between two instructions, or from its sleep. */
  ask(): void {
    this.set(at.ATTENTION, 1);
    this.ring();
  }

  ring(): void {
    this.count(at.DOORBELL);
    Atomics.notify(this.#words, at.DOORBELL >> 2);
  }

  /** To be read before the condition is looked at that {@link wait} is to wait for. */
  get bell(): number {
    return this.get(at.DOORBELL);
  }

  /** Waits until the bell is no longer what it was, or for so long. */
  wait(bell: number, milliseconds?: number): void {
    Atomics.wait(this.#words, at.DOORBELL >> 2, bell, milliseconds);
  }

  /** The same without blocking; undefined where it is no longer what it was. */
  waitAsync(bell: number): Promise<unknown> | undefined {
    const result = Atomics.waitAsync(this.#words, at.DOORBELL >> 2, bell);
    return result.async ? result.value : undefined;
  }

  /** Even while the hart sleeps; the same again only if it did nothing in between. */
  get turns(): number {
    return this.get(at.TURNS);
  }

  get isAsleep(): boolean {
    return (this.turns & 1) === 0;
  }

  /** Of the thread's own hart. */
  set isAsleep(value: boolean) {
    if (value !== this.isAsleep) this.set(at.TURNS, this.turns + 1);
  }

  /** Level of an interrupt line, by its bit's number in mip. */
  setLine(cause: number, asserted: boolean): void {
    const bit = 1 << cause;
    const before = asserted ? this.add(at.LINES, bit) : this.#clear(at.LINES, bit);
    if (((before & bit) !== 0) !== asserted) this.ask();
  }

  sendInterrupt(): void {
    if (this.exchange(at.IPI, 1) === 0) this.ask();
  }

  /** Says which pages the fences that this hart asks for are about. */
  namePages(address: bigint, count: number): void {
    this.setLong(at.FENCE_ADDRESS, BigInt.asIntN(64, address));
    this.set(at.FENCE_PAGES, count);
  }

  get namedPages(): RemoteFence {
    const count = this.get(at.FENCE_PAGES);
    return { kind: 'pages', address: this.getLong(at.FENCE_ADDRESS), count, or: 'all' };
  }

  /** Asks for a fence, on behalf of hart `waiter`; gives a ticket for {@link hasFenced}. */
  wantFence(kind: at.Fence, waiter: number): number {
    const ticket = Atomics.add(this.#words, (at.FENCES_WANTED >> 2) + kind, 1) + 1;
    // Not before it asked, see `serveFences`.
    this.add(at.FENCE_WAITERS, 1 << waiter);
    this.set(at.ATTENTION, 1);
    // One that sleeps looks up by itself when it wakes.
    if (!this.isAsleep) this.ring();
    return ticket;
  }

  hasFenced(kind: at.Fence, ticket: number): boolean {
    return ((this.get(at.FENCES_DONE + 4 * kind) - ticket) | 0) >= 0;
  }

  /** Does the fences that were asked of this hart by `fence`, and tells who waits. */
  serveFences(fence: (kind: at.Fence) => void, links: readonly HartLink[]): void {
    // First: whose bit is there has asked before, and so is told of its own fence.
    const waiters = this.exchange(at.FENCE_WAITERS, 0);
    for (const kind of fences) {
      const wanted = this.get(at.FENCES_WANTED + 4 * kind);
      if (wanted === this.get(at.FENCES_DONE + 4 * kind)) continue;
      fence(kind);
      this.set(at.FENCES_DONE + 4 * kind, wanted);
    }
    for (const link of links) if ((waiters >> link.index) & 1) link.ring();
  }

  #clear(word: number, bits: number): number {
    return Atomics.and(this.#words, word >> 2, ~bits);
  }
}
