import type { MmioDevice } from '../devices/device.ts';
import type { Hart } from '../hart/hart.ts';
import { SystemBus } from '../platform/bus.ts';
import { memoryMap } from '../platform/memory-map.ts';
import type { HartLink } from './hart-link.ts';
import * as at from './layout.ts';
import type { SharedHarts } from './shared-harts.ts';

/** Looks at the answer so often before the thread sleeps: about 5 us. */
const SPINS = 200;

/** How a hart's thread reaches devices and RAM's filler, which hart 0's thread has. */
export class BoardCaller {
  readonly #harts: SharedHarts;
  readonly #board: HartLink;
  /** The hart of this thread: it does fences while it waits. Set once it is made. */
  hart: Hart | undefined;

  /** @param board the link of hart 0 */
  constructor(harts: SharedHarts, board: HartLink) {
    this.#harts = harts;
    this.#board = board;
  }

  /** A bus on which all devices answer through the board's thread. */
  bus(): SystemBus {
    const bus = new SystemBus();
    for (const region of Object.values(memoryMap)) {
      if ('size' in region) bus.map(region, this.#device(region.base));
    }
    return bus;
  }

  print(bytes: Uint8Array): void {
    const { own } = this.#harts;
    for (let from = 0; from < bytes.length; from += at.MAX_PRINT) {
      const part = bytes.subarray(from, from + at.MAX_PRINT);
      own.data(part.length).set(part);
      this.#call(at.Call.print, 0, part.length, 0);
    }
  }

  shutdown(): void {
    this.#call(at.Call.shutdown, 0, 0, 0);
  }

  reset(failed: boolean): void {
    this.#call(at.Call.reset, 0, 0, failed ? 1 : 0);
  }

  /** Has a page of RAM filled. */
  bringPage(page: number): void {
    this.#call(at.Call.page, page, 0, 0);
  }

  #device(base: number): MmioDevice {
    return {
      read: (offset, size) => this.#call(at.Call.read, base + offset, size, 0),
      write: (offset, size, value) => void this.#call(at.Call.write, base + offset, size, value),
    };
  }

  #call(call: at.Call, address: number, size: number, value: number): number {
    const { own } = this.#harts;
    own.setDouble(at.CALL_ADDRESS, address);
    own.set(at.CALL_SIZE, size);
    own.set(at.CALL_VALUE, value | 0);
    own.set(at.CALL, call);
    this.#board.add(at.CALLERS, 1 << own.index);
    this.#board.ask();
    const answered = () => own.get(at.CALL) === 0;
    for (let spin = 0; spin < SPINS; spin++) if (answered()) return own.get(at.CALL_VALUE) >>> 0;
    this.#harts.waitUntil(this.hart!, answered);
    return own.get(at.CALL_VALUE) >>> 0;
  }
}
