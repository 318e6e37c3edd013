import type { CodeExchange, GivenCode } from '../hart/jit/code-exchange.ts';
import * as at from './layout.ts';
import { type Broadcast, openBroadcast } from './threads.ts';

/**
 * Carries compiled code between the threads of a machine's harts. A module that is posted is not compiled
 * again: threads of one process share what the host made of it. Which places are being compiled is noted in
 * the memory that the harts share.
 */
export class CodeChannel implements CodeExchange {
  readonly #broadcast: Broadcast;
  readonly #claims: Int32Array;

  private constructor(broadcast: Broadcast, { buffer }: WebAssembly.Memory) {
    this.#broadcast = broadcast;
    this.#claims = new Int32Array(buffer, at.CLAIMS, at.CLAIMS_COUNT);
  }

  /**
   * Undefined where the host delivers messages to threads only that let it: those of harts do not.
   *
   * @param name the same for all harts of the machine, and for nobody else
   */
  static open(name: string, ram: WebAssembly.Memory): CodeChannel | undefined {
    const broadcast = openBroadcast(name);
    return broadcast && new CodeChannel(broadcast, ram);
  }

  /** Also refuses a place whose claim would stand where that of another one does. */
  claim(place: number): boolean {
    return Atomics.compareExchange(this.#claims, slotOf(place), 0, place) === 0;
  }

  release(place: number): void {
    Atomics.compareExchange(this.#claims, slotOf(place), place, 0);
  }

  give(code: GivenCode): void {
    this.#broadcast.post(code);
  }

  take(): GivenCode | undefined {
    return this.#broadcast.receive() as GivenCode | undefined;
  }

  close(): void {
    this.#broadcast.close();
  }
}

const slotOf = (place: number): number => (place >>> 1) % at.CLAIMS_COUNT;
