import type { Socket } from 'node:net';
import type { OutsideStream, StreamEvents } from '@anole/net';
import type { PortDuplex } from './port-duplex.ts';

const blockBytes = 65536;
/** Someone is there, and does not want us: some listen and reset at once. */
const refusals = new Set<string | undefined>(['ECONNREFUSED', 'ECONNRESET']);

/**
 * A TCP socket of the host as the stack sees it. While the system takes no more, what is written is
 * gathered in blocks: a guest that sends single bytes takes no more memory than others.
 */
export class HostStream implements OutsideStream {
  readonly #socket: Socket | PortDuplex;
  readonly #events: StreamEvents;
  readonly #blocks: Uint8Array[] = [];
  /** Bytes in the last block. */
  #filled = 0;
  #queued = 0;
  #ending = false;
  #connected: boolean;
  #closed = false;

  constructor(socket: Socket | PortDuplex, events: StreamEvents) {
    this.#socket = socket;
    this.#events = events;
    this.#connected = !socket.connecting;
    socket.setNoDelay(true);
    socket.on('connect', () => {
      this.#connected = true;
      this.#tell(() => events.connected());
    });
    socket.on('data', (bytes: Uint8Array) => this.#tell(() => events.data(bytes)));
    socket.on('end', () => this.#tell(() => events.ended()));
    socket.on('error', (error: NodeJS.ErrnoException) => this.#lost(error.code));
    socket.on('close', (failed?: boolean) => {
      if (failed) this.#lost(undefined);
    });
  }

  get waiting(): number {
    return this.#socket.writableLength + this.#queued;
  }

  write(bytes: Uint8Array): boolean {
    if (this.#closed) return false;
    if (this.waiting > 0) {
      this.#gather(bytes);
      return false;
    }
    this.#socket.write(bytes, this.#written);
    // What the system took at once is not looked at again.
    return this.#socket.writableLength > 0;
  }

  end(): void {
    this.#ending = true;
    if (this.waiting === 0 && !this.#closed) this.#socket.end();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(abort: boolean): void {
    this.#closed = true;
    if (abort && this.#connected) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  /** One function for all: Node then calls it once for many writes that the system took at once. */
  readonly #written = (error?: Error | null): void => {
    if (error || this.#closed) return; // told by its event
    if (this.#socket.writableLength === 0) this.#sendNext();
    this.#events.drained();
  };

  #sendNext(): void {
    const block = this.#blocks.shift();
    if (block !== undefined) {
      const bytes = this.#blocks.length === 0 ? block.subarray(0, this.#filled) : block;
      this.#queued -= bytes.length;
      this.#socket.write(bytes, this.#written);
    } else if (this.#ending) this.#socket.end();
  }

  #gather(bytes: Uint8Array): void {
    this.#queued += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      if (this.#blocks.length === 0 || this.#filled === blockBytes) {
        this.#blocks.push(new Uint8Array(blockBytes));
        this.#filled = 0;
      }
      const part = bytes.subarray(at, at + blockBytes - this.#filled);
      this.#blocks.at(-1)!.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
    }
  }

  #lost(code: string | undefined): void {
    this.#tell(() => {
      this.#closed = true;
      if (this.#connected) this.#events.reset();
      else this.#events.failed(refusals.has(code) ? 'refused' : 'unreachable');
    });
  }

  #tell(event: () => void): void {
    if (!this.#closed) event();
  }
}
