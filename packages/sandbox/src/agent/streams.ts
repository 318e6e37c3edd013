import type { Outlet } from './port.ts';
import { errno } from './system.ts';
import { headerBytes, maxDataFrame, streamWindow, toHost } from './wire.ts';

const pipeBytes = 65536; // what a pipe holds (pipe(7))
const grantStep = streamWindow / 4;

/** What is read, before it is sent: one stream reads at a time. */
let buffer = new ArrayBuffer(maxDataFrame);

/** Who gets what waits: nobody listens to a stream before it began. */
const nobody: Outlet = {
  blocked: true,
  sendJson: () => {},
  sendWord: () => {},
  sendBytes: () => {},
  sendFrame: () => true,
};

/**
 * Carries one output pipe of a command to the host, as far as the host granted. It is made ahead, with the process
 * that becomes the command.
 */
export class OutputStream {
  ended = false;
  #port = nobody;
  #command = 0;
  readonly #type: number;
  readonly number: number;
  readonly #fd: number;
  #credit = streamWindow;
  #discarding = false;
  #listening = false;
  readonly #onReadable = () => this.#read();
  /** Set when the command is gone: told once what it left in the pipe is sent. */
  #onDrained: (() => void) | undefined;
  #left = 0;

  constructor(stream: 1 | 2, fd: number) {
    this.number = stream;
    this.#type = stream === 1 ? toHost.stdout : toHost.stderr;
    this.#fd = fd;
  }

  begin(port: Outlet, command: number): void {
    this.#port = port;
    this.#command = command;
    this.update();
  }

  /** Closes one that did not begin. */
  close(): void {
    os.close(this.#fd);
  }

  grant(bytes: number): void {
    this.#credit += bytes;
    this.update();
  }

  /** Another host listens: what the former one granted counts no more. Whether the stream is open. */
  restart(): boolean {
    this.#credit = streamWindow;
    this.update();
    return !this.ended;
  }

  /** Nobody listens any more: what is written is thrown away. */
  discard(): void {
    this.#discarding = true;
    this.restart();
  }

  /**
   * Calls back once what the pipe holds now is sent. A process the command left behind may go on
   * writing: no more than a pipe's content is waited for.
   */
  drain(done: () => void): void {
    if (this.ended) {
      done();
      return;
    }
    this.#onDrained = done;
    this.#left = pipeBytes;
    this.update();
    if (this.#listening) this.#read();
  }

  /** Listens to the pipe when there is room at the host, and only then. */
  update(): void {
    const wanted = !this.ended && this.#credit > 0 && !this.#port.blocked;
    if (wanted === this.#listening) return;
    this.#listening = wanted;
    os.setReadHandler(this.#fd, wanted ? this.#onReadable : null);
    if (wanted && this.#onDrained !== undefined) this.#read();
  }

  #read(): void {
    do {
      const room = Math.min(maxDataFrame - headerBytes, this.#credit);
      const count = os.read(this.#fd, buffer, headerBytes, room);
      if (count === -errno.again) {
        this.#drained();
        return;
      }
      if (count <= 0) {
        this.#end();
        return;
      }
      this.#left -= count;
      if (this.#discarding) continue;
      this.#credit -= count;
      if (!this.#port.sendFrame(this.#type, this.#command, buffer, count)) {
        // The port keeps it.
        buffer = new ArrayBuffer(maxDataFrame);
      }
      this.update();
    } while (this.#onDrained !== undefined && this.#listening && this.#left > 0);
    if (this.#left <= 0) this.#drained();
  }

  #drained(): void {
    const done = this.#onDrained;
    this.#onDrained = undefined;
    done?.();
  }

  #end(): void {
    this.ended = true;
    this.update();
    os.close(this.#fd);
    this.#port.sendBytes(toHost.streamEnd, this.#command, Uint8Array.of(this.number));
    this.#drained();
  }
}

/** Carries standard input into a command's pipe. Grants the host as much as was written. Made ahead, too. */
export class InputStream {
  #port = nobody;
  #command = 0;
  #fd: number;
  #queue: { bytes: ArrayBuffer; offset: number }[] = [];
  #closing = false;
  /** Bytes written that the host was not told of yet. */
  #owed = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** @param ahead bytes that are written first and were not sent by the host */
  begin(port: Outlet, command: number, ahead: number): void {
    this.#port = port;
    this.#command = command;
    this.#owed = -ahead;
  }

  /** Copies what the pipe does not take at once. */
  write(buffer: ArrayBuffer, offset: number, length: number): void {
    if (this.#fd < 0 || this.#closing) return;
    const written = this.#queue.length > 0 ? 0 : this.#put(buffer, offset, length);
    if (written < 0 || written === length) return;
    const bytes = buffer.slice(offset + written, offset + length);
    if (this.#queue.push({ bytes, offset: 0 }) === 1) {
      os.setWriteHandler(this.#fd, () => this.#flush());
    }
  }

  /** Another host sends, and has a whole window. Whether the stream is open. */
  restart(): boolean {
    this.#owed = Math.min(this.#owed, 0);
    return this.#fd >= 0 && !this.#closing;
  }

  /** Ends the input once all is written. */
  end(): void {
    this.#closing = true;
    if (this.#queue.length === 0) this.close();
  }

  /** Ends the input at once. */
  close(): void {
    if (this.#fd < 0) return;
    if (this.#queue.length > 0) os.setWriteHandler(this.#fd, null);
    this.#queue = [];
    os.close(this.#fd);
    this.#fd = -1;
  }

  #flush(): void {
    const head = this.#queue[0];
    if (head === undefined) return;
    const left = head.bytes.byteLength - head.offset;
    const count = this.#put(head.bytes, head.offset, left);
    if (count < 0) return;
    head.offset += count;
    if (count === left) this.#queue.shift();
    if (this.#queue.length > 0) return;
    os.setWriteHandler(this.#fd, null);
    if (this.#closing) this.close();
  }

  /** Bytes written, or -1 when nobody reads any more. */
  #put(buffer: ArrayBuffer, offset: number, length: number): number {
    const count = os.write(this.#fd, buffer, offset, length);
    if (count === -errno.again) return 0;
    if (count < 0) {
      this.close();
      this.#port.sendBytes(toHost.streamEnd, this.#command, Uint8Array.of(0));
      return -1;
    }
    this.#owed += count;
    if (this.#owed >= grantStep) {
      const grant = new Uint8Array(5);
      new DataView(grant.buffer).setUint32(1, this.#owed, true);
      this.#port.sendBytes(toHost.credit, this.#command, grant);
      this.#owed = 0;
    }
    return count;
  }
}
