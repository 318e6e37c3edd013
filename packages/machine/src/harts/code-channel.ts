import { type CodeExchange, type GivenCode, MOST_GIVEN } from '../hart/jit/code-exchange.ts';
import type { HartLink } from './hart-link.ts';
import * as at from './layout.ts';
import { canTakeMessages, takeMessage } from './threads.ts';

/** A port to another hart, and how that one is seen. */
interface Line {
  readonly port: MessagePort;
  readonly link: HartLink;
}

/**
 * Carries compiled code between the threads of a machine's harts. A module that is posted is not compiled
 * again: threads of one process share what the host made of it. Which places are being compiled is noted in
 * the memory that the harts share, as is how much waits for each: a hart that sleeps takes nothing.
 */
export class CodeChannel implements CodeExchange {
  readonly #links: readonly HartLink[];
  readonly #own: HartLink;
  readonly #claims: Int32Array;
  #lines: readonly Line[] = [];

  private constructor(links: readonly HartLink[], hart: number, { buffer }: WebAssembly.Memory) {
    this.#links = links;
    this.#own = links[hart]!;
    this.#claims = new Int32Array(buffer, at.CLAIMS, at.CLAIMS_COUNT);
  }

  /**
   * Undefined where the host delivers messages to threads only that let it: those of harts do not. Gives
   * nothing before {@link connect}.
   *
   * @param links of all harts
   * @param hart the number of the one that it is for
   */
  static open(
    links: readonly HartLink[],
    hart: number,
    ram: WebAssembly.Memory,
  ): CodeChannel | undefined {
    return canTakeMessages ? new CodeChannel(links, hart, ram) : undefined;
  }

  /** @param ports of the hart, see {@link codePorts} */
  connect(ports: readonly MessagePort[]): void {
    const others = this.#links.filter((link) => link !== this.#own);
    this.#lines = ports.map((port, index) => ({ port, link: others[index]! }));
  }

  /** Also refuses a place whose claim would stand where that of another one does. */
  claim(place: number): boolean {
    return Atomics.compareExchange(this.#claims, slotOf(place), 0, place) === 0;
  }

  release(place: number): void {
    Atomics.compareExchange(this.#claims, slotOf(place), place, 0);
  }

  give(code: GivenCode): void {
    for (const { port, link } of this.#lines) {
      if (link.get(at.GIVEN) >= MOST_GIVEN) continue;
      link.count(at.GIVEN);
      port.postMessage(code);
    }
  }

  take(): GivenCode | undefined {
    if (this.#own.get(at.GIVEN) === 0) return undefined;
    for (const { port } of this.#lines) {
      const code = takeMessage(port) as GivenCode | undefined;
      if (code === undefined) continue;
      this.#own.count(at.GIVEN, -1);
      return code;
    }
    return undefined;
  }

  close(): void {
    for (const { port } of this.#lines) port.close();
    this.#lines = [];
  }
}

/** Ports between so many harts: for each of them its ends, to all others in their order. */
export function codePorts(count: number): readonly (readonly MessagePort[])[] {
  const ports: MessagePort[][] = Array.from({ length: count }, () => []);
  for (const [hart, own] of ports.entries()) {
    for (const other of ports.slice(hart + 1)) {
      const { port1, port2 } = new MessageChannel();
      own.push(port1);
      other.push(port2);
    }
  }
  return ports;
}

const slotOf = (place: number): number => (place >>> 1) % at.CLAIMS_COUNT;
