import { Duplex } from 'node:stream';
import type { MessagePort } from 'node:worker_threads';

/** Between the two ends: bytes, an acknowledgement of them, the end of them, or that all is over. */
type Message = { readonly data: Uint8Array } | { readonly taken: true } | 'end' | 'destroy';

/**
 * One end of a stream of bytes between threads. The other end is one, too. A write is done when the
 * other end has room for more.
 */
export class PortDuplex extends Duplex {
  /** As a socket that is connected. */
  readonly connecting = false;
  readonly #port: MessagePort;
  #written: (() => void) | undefined;
  #owed = 0;

  constructor(port: MessagePort) {
    super({ allowHalfOpen: true });
    this.#port = port;
    port.on('message', (message: Message) => this.#take(message));
    port.on('close', () => this.destroy());
  }

  /** As of a socket: bytes are never held back here. */
  setNoDelay(): void {}

  resetAndDestroy(): void {
    this.destroy();
  }

  override _read(): void {
    for (; this.#owed > 0; this.#owed--) this.#port.postMessage({ taken: true });
  }

  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    this.#written = done;
    const data = new Uint8Array(chunk);
    this.#port.postMessage({ data } satisfies Message, [data.buffer]);
  }

  override _final(done: () => void): void {
    this.#port.postMessage('end');
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#port.postMessage('destroy');
    this.#port.close();
    done(error);
  }

  #take(message: Message): void {
    if (message === 'end') this.push(null);
    else if (message === 'destroy') this.destroy();
    else if ('taken' in message) {
      const written = this.#written;
      this.#written = undefined;
      written?.();
    } else {
      this.#owed++;
      if (this.push(message.data)) this._read();
    }
  }
}
