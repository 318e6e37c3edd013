import { errno, openFlags } from './system.ts';
import { asciiBytes, asciiJson, headerBytes, maxPayload, writeHeader } from './wire.ts';

const receiveBytes = 65536;

/** Takes one frame. The buffer is reused after the call. */
export type OnFrame = (
  type: number,
  command: number,
  buffer: ArrayBuffer,
  offset: number,
  length: number,
) => void;

interface Pending {
  readonly buffer: ArrayBuffer;
  offset: number;
  end: number;
}

/** What takes frames for the host. */
export type Outlet = Pick<Port, 'blocked' | 'sendJson' | 'sendWord' | 'sendBytes' | 'sendFrame'>;

function newWord(): DataView<ArrayBuffer> {
  return new DataView(new ArrayBuffer(headerBytes + 4));
}

/** Frames over the virtio console port. Sends never wait; what does not fit is kept, in order. */
export class Port {
  readonly #fd: number;
  readonly #onFrame: OnFrame;
  readonly #onDrain: () => void;
  readonly #pending: Pending[] = [];
  #buffer = new ArrayBuffer(receiveBytes);
  #view = new DataView(this.#buffer);
  #filled = 0;
  #word = newWord();

  constructor(path: string, onFrame: OnFrame, onDrain: () => void) {
    this.#onFrame = onFrame;
    this.#onDrain = onDrain;
    this.#fd = os.open(path, openFlags.readWrite | openFlags.nonBlock);
    if (this.#fd < 0) throw new Error(`cannot open ${path}: errno ${-this.#fd}`);
    os.setReadHandler(this.#fd, () => this.#receive());
  }

  /** True while frames wait: readers of pipes pause then. */
  get blocked(): boolean {
    return this.#pending.length > 0;
  }

  /** Sends a value as JSON. */
  sendJson(type: number, command: number, value: unknown): void {
    this.sendBytes(type, command, asciiBytes(asciiJson(value)));
  }

  /** Sends a u32, from memory that is used again: making some takes longer than all the rest. */
  sendWord(type: number, command: number, value: number): void {
    const word = this.#word;
    word.setUint32(headerBytes, value, true);
    const sent = this.sendFrame(type, command, word.buffer, 4, word);
    if (!sent) this.#word = newWord();
  }

  sendBytes(type: number, command: number, payload: Uint8Array): void {
    const buffer = new ArrayBuffer(headerBytes + payload.length);
    new Uint8Array(buffer).set(payload, headerBytes);
    this.sendFrame(type, command, buffer, payload.length);
  }

  /**
   * Sends a payload that stands in `buffer` after room for the header.
   * @param view of the whole buffer
   * @returns false where the port keeps the buffer until it drains; it must not be reused then.
   */
  sendFrame(
    type: number,
    command: number,
    buffer: ArrayBuffer,
    payload: number,
    view = new DataView(buffer),
  ): boolean {
    writeHeader(view, type, command, payload);
    const pending = { buffer, offset: 0, end: headerBytes + payload };
    if (!this.blocked && this.#write(pending)) return true;
    if (this.#pending.push(pending) === 1) os.setWriteHandler(this.#fd, () => this.#drain());
    return false;
  }

  #write(pending: Pending): boolean {
    while (pending.offset < pending.end) {
      const left = pending.end - pending.offset;
      const count = os.write(this.#fd, pending.buffer, pending.offset, left);
      if (count === -errno.again) return false;
      if (count < 0) std.exit(1); // the host is gone: the kernel reports the end of its first process
      pending.offset += count;
    }
    return true;
  }

  #drain(): void {
    while (this.#pending.length > 0) {
      if (!this.#write(this.#pending[0]!)) return;
      this.#pending.shift();
    }
    os.setWriteHandler(this.#fd, null);
    this.#onDrain();
  }

  /** Takes what is there: the kernel gives a page (4 KiB) with each read. */
  #receive(): void {
    for (;;) {
      const room = this.#buffer.byteLength - this.#filled;
      const count = os.read(this.#fd, this.#buffer, this.#filled, room);
      if (count === -errno.again) break;
      if (count <= 0) std.exit(1);
      this.#filled += count;
      if (count === room) break;
    }
    this.#dispatch();
  }

  #dispatch(): void {
    let at = 0;
    const view = this.#view;
    while (this.#filled - at >= headerBytes) {
      const length = view.getUint32(at, true);
      if (length < 5 || length > maxPayload + 5) std.exit(2);
      if (this.#filled - at < 4 + length) break;
      const type = view.getUint8(at + 4);
      this.#onFrame(type, view.getUint32(at + 5, true), this.#buffer, at + headerBytes, length - 5);
      at += 4 + length;
    }
    this.#keep(at);
  }

  /** Moves an unfinished frame to the front of a buffer that holds all of it. */
  #keep(from: number): void {
    if (from === this.#filled && this.#buffer.byteLength === receiveBytes) {
      this.#filled = 0;
      return;
    }
    const rest = new Uint8Array(this.#buffer, from, this.#filled - from);
    const wanted = rest.length >= 4 ? new DataView(this.#buffer).getUint32(from, true) + 4 : 0;
    const size = Math.max(wanted, receiveBytes);
    const next = size === this.#buffer.byteLength ? this.#buffer : new ArrayBuffer(size);
    if (rest.length > 0 && (from > 0 || next !== this.#buffer)) new Uint8Array(next).set(rest);
    this.#filled = rest.length;
    if (next !== this.#buffer) this.#view = new DataView(next);
    this.#buffer = next;
  }
}
