import type { AccessSize, InterruptLine, MmioDevice } from '../device.ts';
import {
  CLAIM,
  CONTEXT,
  CONTEXT_STRIDE,
  ENABLE,
  ENABLE_STRIDE,
  MAX_PRIORITY,
  PENDING,
  PRIORITY,
  THRESHOLD,
} from './registers.ts';

interface PlicState {
  readonly priority: Uint8Array;
  /** Level of each source's line. */
  readonly level: Uint8Array;
  readonly pending: Uint8Array;
  /** Claimed and not yet completed: the gateway holds further requests back. */
  readonly claimed: Uint8Array;
  /** Per context. */
  readonly enabled: Uint32Array[];
  readonly threshold: Uint8Array;
}

/**
 * The interrupt controller: sources with priorities, one context per hart and mode.
 * Level-triggered gateways: a request that was accepted stays pending until it is claimed.
 */
export class Plic implements MmioDevice {
  readonly state: PlicState;
  readonly #sources: number;
  readonly #contexts: readonly InterruptLine[];

  /**
   * @param sources number of sources, the unused source 0 included; a multiple of 32
   * @param contexts external interrupt lines of the harts, in the device tree's order
   */
  constructor(sources: number, contexts: readonly InterruptLine[]) {
    this.#sources = sources;
    this.#contexts = contexts;
    this.state = {
      priority: new Uint8Array(sources),
      level: new Uint8Array(sources),
      pending: new Uint8Array(sources),
      claimed: new Uint8Array(sources),
      enabled: contexts.map(() => new Uint32Array(sources / 32)),
      threshold: new Uint8Array(contexts.length),
    };
  }

  /** The line of one source, for its device. */
  line(source: number): InterruptLine {
    return (asserted) => this.setLevel(source, asserted);
  }

  setLevel(source: number, asserted: boolean): void {
    const { level, pending, claimed } = this.state;
    level[source] = asserted ? 1 : 0;
    if (!asserted || pending[source] || claimed[source]) return;
    pending[source] = 1;
    this.#update();
  }

  /** Whether the guest has a context take interrupts of a source. */
  hears(context: number, source: number): boolean {
    return this.#isEnabled(context, source) && this.state.priority[source] !== 0;
  }

  read(offset: number, size: AccessSize): number {
    if (size !== 4) return 0;
    if (offset < PENDING) return this.state.priority[(offset - PRIORITY) >>> 2] ?? 0;
    if (offset < ENABLE) return this.#pendingWord((offset - PENDING) >>> 2);
    if (offset < CONTEXT) {
      const at = offset - ENABLE;
      const words = this.state.enabled[Math.floor(at / ENABLE_STRIDE)];
      return words?.[(at % ENABLE_STRIDE) >>> 2] ?? 0;
    }
    const context = Math.floor((offset - CONTEXT) / CONTEXT_STRIDE);
    const register = (offset - CONTEXT) % CONTEXT_STRIDE;
    if (context >= this.#contexts.length) return 0;
    if (register === THRESHOLD) return this.state.threshold[context]!;
    return register === CLAIM ? this.#claim(context) : 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 4) return;
    if (offset < PENDING) {
      const source = (offset - PRIORITY) >>> 2;
      if (source > 0 && source < this.#sources) this.state.priority[source] = value & MAX_PRIORITY;
    } else if (offset >= CONTEXT) this.#writeContext(offset - CONTEXT, value);
    else if (offset >= ENABLE) {
      const at = offset - ENABLE;
      const words = this.state.enabled[Math.floor(at / ENABLE_STRIDE)];
      const word = (at % ENABLE_STRIDE) >>> 2;
      // Source 0 does not exist: its enable bit is hardwired to 0.
      if (words !== undefined && word < words.length) words[word] = word === 0 ? value & ~1 : value;
    }
    this.#update();
  }

  #writeContext(at: number, value: number): void {
    const context = Math.floor(at / CONTEXT_STRIDE);
    const register = at % CONTEXT_STRIDE;
    if (context >= this.#contexts.length) return;
    if (register === THRESHOLD) this.state.threshold[context] = value & MAX_PRIORITY;
    else if (register === CLAIM) this.#complete(context, value);
  }

  #pendingWord(word: number): number {
    let bits = 0;
    for (let bit = 0; bit < 32; bit++) {
      if (this.state.pending[word * 32 + bit]) bits |= 1 << bit;
    }
    return bits >>> 0;
  }

  #isEnabled(context: number, source: number): boolean {
    return ((this.state.enabled[context]![source >>> 5]! >>> (source & 31)) & 1) === 1;
  }

  /** The pending source of highest priority above `floor` (lowest number first), or 0. */
  #best(context: number, floor: number): number {
    const { pending, priority } = this.state;
    let best = 0;
    let bestPriority = floor;
    for (let source = 1; source < this.#sources; source++) {
      if (!pending[source] || priority[source]! <= bestPriority) continue;
      if (!this.#isEnabled(context, source)) continue;
      best = source;
      bestPriority = priority[source]!;
    }
    return best;
  }

  #claim(context: number): number {
    const source = this.#best(context, 0);
    if (source === 0) return 0;
    this.state.pending[source] = 0;
    this.state.claimed[source] = 1;
    this.#update();
    return source;
  }

  #complete(context: number, source: number): void {
    if (source >= this.#sources || !this.#isEnabled(context, source)) return;
    this.state.claimed[source] = 0;
    if (this.state.level[source]) this.state.pending[source] = 1;
  }

  #update(): void {
    this.#contexts.forEach((line, context) => {
      line(this.#best(context, this.state.threshold[context]!) !== 0);
    });
  }
}
