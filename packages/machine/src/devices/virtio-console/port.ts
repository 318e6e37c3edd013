import { type Awaitable, isPromise } from '@anole/bytes';
import { type DescriptorChain, gather, scatter } from '../virtio/chain.ts';
import type { VirtioHost } from '../virtio/device.ts';
import { misused, type Virtqueue } from '../virtio/queue.ts';
import { MAX_TRANSMIT, receiveQueue } from './registers.ts';

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

export interface ConsolePortOptions {
  /** Shown in the guest as `/sys/class/virtio-ports/vportNpM/name`, linked by udev. */
  readonly name?: string;
  /** A terminal (`/dev/hvcN`) instead of a stream of bytes (`/dev/vportNpM`). */
  readonly console?: boolean;
  readonly size?: TerminalSize;
  /**
   * Takes bytes from the guest; they are the callee's. While a Promise is pending, the device takes
   * no more, and a guest that goes on writing blocks.
   */
  readonly onData: (bytes: Uint8Array) => Awaitable<void>;
  /** A program in the guest opened or closed the port (for a terminal: the kernel did). */
  readonly onOpen?: (open: boolean) => void;
}

interface PendingWrite {
  readonly bytes: Uint8Array;
  at: number;
  readonly done: () => void;
}

/** What a port asks of its device. */
export interface PortEvents {
  resized(port: ConsolePort): void;
  sent(port: ConsolePort, bytes: Uint8Array): void;
}

/** One port of a {@link VirtioConsole}: a duplex stream of bytes. */
export class ConsolePort {
  readonly id: number;
  readonly options: ConsolePortOptions;
  readonly state = { guestOpen: false };
  /** Not of the state: whoever restores a machine tells it anew. */
  size: TerminalSize | undefined;
  readonly #events: PortEvents;
  #host: VirtioHost | undefined;
  #stopped = false;
  #pending: PendingWrite[] = [];
  /** `onData` is working: what the guest sends waits in its queue. */
  #busy = false;

  constructor(id: number, options: ConsolePortOptions, events: PortEvents) {
    this.id = id;
    this.options = options;
    this.#events = events;
    this.size = options.size;
  }

  /** Bytes are on their way that a snapshot could not hold. */
  get busy(): boolean {
    return this.#busy || this.#pending.length > 0;
  }

  attach(host: VirtioHost): void {
    this.#host = host;
  }

  /**
   * Sends bytes to the guest; `bytes` must not change until this settles. Resolves once the guest's
   * buffers took them all, so that a writer who waits holds one piece at a time. What is written
   * before the guest opened the port waits; when the machine ends, the rest is dropped.
   */
  write(bytes: Uint8Array): Promise<void> {
    if (this.#stopped || bytes.length === 0) return Promise.resolve();
    return new Promise((done) => {
      this.#pending.push({ bytes, at: 0, done });
      this.#host?.guard(() => this.deliver());
    });
  }

  /** Tells a terminal its new size. */
  resize(size: TerminalSize): void {
    this.size = size;
    this.#events.resized(this);
  }

  setGuestOpen(open: boolean): void {
    if (this.state.guestOpen === open) return;
    this.state.guestOpen = open;
    this.options.onOpen?.(open);
    if (open) this.deliver();
  }

  /** Moves pending writes into the guest's receive buffers. */
  deliver(): void {
    if (!this.state.guestOpen) return;
    const queue = this.#queue(0);
    while (this.#pending.length > 0 && queue.hasNext) {
      const chain = queue.pop();
      if (chain === undefined) return;
      if (chain.writableLength === 0) throw misused('a receive buffer without room');
      const head = this.#pending[0]!;
      const written = scatter(this.#host!.memory, chain, [head.bytes.subarray(head.at)]);
      queue.complete(chain, written);
      head.at += written;
      if (head.at < head.bytes.length) continue;
      this.#pending.shift();
      head.done();
    }
  }

  /** Hands over what the guest sent. */
  drain(): void {
    this.#host!.serve(
      receiveQueue(this.id) + 1,
      (chain) => this.#take(chain),
      () => !this.#busy,
    );
  }

  #take(chain: DescriptorChain): void {
    if (chain.readableLength > MAX_TRANSMIT) throw misused('a piece of over 1 MiB to send');
    const bytes = new Uint8Array(chain.readableLength);
    gather(this.#host!.memory, chain, bytes);
    // Linux spins until a terminal's buffer comes back: give it back before `onData` is done.
    this.#queue(1).complete(chain, 0);
    this.#events.sent(this, bytes);
    const done = bytes.length === 0 ? undefined : this.options.onData(bytes);
    if (isPromise(done)) void this.#drainAfter(done);
  }

  /** The driver reset the device. Writes that wait stay for the next driver. */
  reset(): void {
    if (this.state.guestOpen) this.options.onOpen?.(false);
    this.state.guestOpen = false;
  }

  stop(): void {
    this.#stopped = true;
    for (const { done } of this.#pending) done();
    this.#pending = [];
  }

  async #drainAfter(done: Promise<void>): Promise<void> {
    const host = this.#host!;
    this.#busy = true;
    try {
      await done;
    } catch (error) {
      host.fault(error);
      return;
    }
    this.#busy = false;
    host.guard(() => this.drain());
  }

  #queue(direction: 0 | 1): Virtqueue {
    return this.#host!.queue(receiveQueue(this.id) + direction);
  }
}
