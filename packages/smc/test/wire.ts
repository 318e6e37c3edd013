import { mock } from 'node:test';
import { parseRoce } from '@anole/smc';
import { MemoryRegions } from '../src/roce/memory-regions.ts';
import { QueuePair } from '../src/roce/queue-pair.ts';

/** The same numbers from the same seed, from 0 to below 1. */
export function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export interface End {
  readonly pair: QueuePair;
  readonly memory: MemoryRegions;
  readonly messages: Uint8Array[];
  failure?: { readonly code: string; readonly message: string };
}

/** Two queue pairs and what is between them; time passes in {@link run} only. */
export class Wire {
  readonly ends: readonly [End, End];
  /** Packets under way, with the end that they go to. */
  readonly packets: { readonly to: 0 | 1; readonly bytes: Uint8Array }[] = [];
  /** What becomes of a packet: how many of it arrive. */
  copies: (bytes: Uint8Array) => number = () => 1;
  /** Which of those under way arrives next. */
  choose: (count: number) => number = () => 0;

  constructor({ mtu = 1024 } = {}) {
    mock.timers.enable({ apis: ['setTimeout'] });
    this.ends = [this.#end(0), this.#end(1)];
    const [near, far] = this.ends;
    near.pair.connect({ queuePair: 21, firstSequence: 0xfffff1, mtu });
    far.pair.connect({ queuePair: 20, firstSequence: 0xfffff0, mtu });
  }

  #end(index: 0 | 1): End {
    const memory = new MemoryRegions();
    const messages: Uint8Array[] = [];
    const end: End = {
      memory,
      messages,
      pair: new QueuePair({
        number: 20 + index,
        firstSequence: 0xfffff0 + index,
        memory,
        transmit: (bytes) => {
          for (let left = this.copies(bytes); left > 0; left--) {
            this.packets.push({ to: index === 0 ? 1 : 0, bytes: bytes.slice() });
          }
        },
        onMessage: (bytes) => messages.push(bytes),
        onFailure: (error) => {
          end.failure = error;
        },
      }),
    };
    return end;
  }

  /** Until nothing is under way, and neither end waits for anything. */
  run(): void {
    for (let rounds = 0; rounds < 1_000_000; rounds++) {
      const [next] = this.packets.splice(this.choose(this.packets.length), 1);
      if (next !== undefined) this.ends[next.to].pair.receive(parseRoce(next.bytes));
      else if (this.ends.some(({ pair }) => pair.isBusy)) mock.timers.tick(10);
      else return;
    }
    throw new Error('the wire does not come to rest');
  }

  [Symbol.dispose](): void {
    for (const { pair } of this.ends) pair.close();
    mock.timers.reset();
  }
}
