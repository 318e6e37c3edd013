import type { AccessSize } from '../devices/device.ts';
import type { GuestMemory } from '../hart/guest-memory.ts';
import type { Bus } from '../hart/hart.ts';
import type { SbiHost } from '../platform/sbi.ts';
import type { HartLink } from './hart-link.ts';
import * as at from './layout.ts';

/** Answers the calls of other harts in the thread that has the devices. */
export class BoardServer {
  readonly #links: readonly HartLink[];
  readonly #memory: GuestMemory;
  readonly #bus: Bus;
  readonly #host: Omit<SbiHost, 'harts'>;

  constructor(
    links: readonly HartLink[],
    memory: GuestMemory,
    bus: Bus,
    host: Omit<SbiHost, 'harts'>,
  ) {
    this.#links = links;
    this.#memory = memory;
    this.#bus = bus;
    this.#host = host;
  }

  /** Answers all that call. What a device throws passes; its caller is answered all the same. */
  serve(): void {
    const callers = this.#links[0]!.exchange(at.CALLERS, 0);
    if (callers === 0) return;
    for (const link of this.#links) {
      if (((callers >> link.index) & 1) === 0) continue;
      try {
        link.set(at.CALL_VALUE, this.#answer(link) | 0);
      } finally {
        link.set(at.CALL, 0);
        link.ring();
      }
    }
  }

  #answer(link: HartLink): number {
    const address = link.getDouble(at.CALL_ADDRESS);
    const size = link.get(at.CALL_SIZE);
    const value = link.get(at.CALL_VALUE);
    switch (link.get(at.CALL)) {
      case at.Call.read:
        return this.#bus.read(address, size as AccessSize);
      case at.Call.write:
        this.#bus.write(address, size as AccessSize, value >>> 0);
        break;
      case at.Call.print:
        this.#host.console(link.data(size).slice());
        break;
      case at.Call.shutdown:
        this.#host.shutdown();
        break;
      case at.Call.reset:
        this.#host.reset(value !== 0);
        break;
      case at.Call.page:
        this.#memory.bringPage(address);
        break;
    }
    return 0;
  }
}
