import * as at from './layout.ts';

/** The state block: slots of the hart in the WebAssembly memory, see {@link ./layout.ts}. */
export class HartState {
  #bytes: Uint8Array;
  #words: Int32Array;
  #longs: BigUint64Array;

  constructor(memory: WebAssembly.Memory) {
    this.#bytes = new Uint8Array(memory.buffer, 0, at.STATE_END);
    this.#words = new Int32Array(memory.buffer, 0, at.SLOTS_END / 4);
    this.#longs = new BigUint64Array(memory.buffer, 0, at.STATE_END / 8);
  }

  /** A 64-bit slot, unsigned. */
  get(slot: number): bigint {
    return this.#longs[slot >> 3]!;
  }

  set(slot: number, value: bigint): void {
    this.#longs[slot >> 3] = value;
  }

  /** An i32 slot, signed: of the state, or of what serves the execution alone. */
  getWord(slot: number): number {
    return this.#words[slot >> 2]!;
  }

  setWord(slot: number, value: number): void {
    this.#words[slot >> 2] = value;
  }

  clear(): void {
    this.#bytes.fill(0);
  }

  copy(): Uint8Array {
    return this.#bytes.slice();
  }

  restore(bytes: Uint8Array): void {
    this.#bytes.set(bytes);
  }

  /** Leaves the memory to others: the slots are this object's own from now on, as they were. */
  release(): void {
    this.#words = this.#words.slice();
    this.#bytes = new Uint8Array(this.#words.buffer, 0, at.STATE_END);
    this.#longs = new BigUint64Array(this.#words.buffer, 0, at.STATE_END / 8);
  }
}
