import { type Hello, headerBytes, maxPayload, writeHeader } from '../agent/wire.ts';
import { SandboxError } from '../errors.ts';

export interface Frame {
  readonly type: number;
  readonly command: number;
  /** Aliases what was given to the reader. */
  readonly payload: Uint8Array;
}

/** A frame's bytes. */
export function writeFrame(type: number, command: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(headerBytes + payload.length);
  writeHeader(new DataView(frame.buffer), type, command, payload.length);
  frame.set(payload, headerBytes);
  return frame;
}

const nothing = new Uint8Array(0);

/** Cuts a stream of bytes into frames. What comes in small pieces is copied once. */
export class FrameReader {
  /** The beginning of a frame, in memory for all of it as soon as its length is known. */
  #begun: Uint8Array = nothing;
  #held = 0;
  /** Bytes that there must be before it makes sense to look. */
  #needed = headerBytes;

  /**
   * The frames that `bytes` completes.
   * @throws SandboxError `SANDBOX_AGENT` on a length that no frame has
   */
  *read(bytes: Uint8Array): Generator<Frame> {
    const data = this.#held === 0 ? bytes : this.#append(bytes);
    if (data.length < this.#needed) {
      if (this.#held === 0) this.#hold(data, this.#needed);
      return;
    }
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    let at = 0;
    while (data.length - at >= headerBytes) {
      const length = view.getUint32(at, true);
      if (length < headerBytes - 4 || length > maxPayload + headerBytes) {
        throw new SandboxError(
          'SANDBOX_AGENT',
          `Cannot read from the agent: frame of ${length} bytes`,
        );
      }
      const end = at + 4 + length;
      if (end > data.length) {
        this.#hold(data.subarray(at), end - at);
        return;
      }
      yield {
        type: view.getUint8(at + 4),
        command: view.getUint32(at + 5, true),
        payload: data.subarray(at + headerBytes, end),
      };
      at = end;
    }
    this.#hold(data.subarray(at), headerBytes);
  }

  #append(bytes: Uint8Array): Uint8Array {
    const size = this.#held + bytes.length;
    if (size > this.#begun.length) {
      const larger = new Uint8Array(size);
      larger.set(this.#begun.subarray(0, this.#held));
      this.#begun = larger;
    }
    this.#begun.set(bytes, this.#held);
    this.#held = size;
    return this.#begun.subarray(0, size);
  }

  #hold(rest: Uint8Array, needed: number): void {
    this.#begun = rest.length === 0 ? nothing : new Uint8Array(needed);
    this.#begun.set(rest);
    this.#held = rest.length;
    this.#needed = needed;
  }
}

/** The payload of a frame that is one u32. @throws SandboxError `SANDBOX_AGENT` */
export function wordOf({ payload }: Frame): number {
  if (payload.length === 4)
    return new DataView(payload.buffer, payload.byteOffset).getUint32(0, true);
  throw new SandboxError('SANDBOX_AGENT', 'Cannot read from the agent: a number is not one');
}

/** The JSON object of a report. @throws SandboxError `SANDBOX_AGENT` */
export function parseReport<T extends object>(frame: Frame): Partial<T> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(frame.payload));
    if (typeof value === 'object' && value !== null) return value as Partial<T>;
  } catch {
    // Told below.
  }
  throw new SandboxError('SANDBOX_AGENT', 'Cannot read from the agent: a report is not JSON');
}

/** A text of a report for a message: whatever it says there, this is one. */
export function saying(text: unknown): string {
  return typeof text === 'string' ? text : 'it does not say what';
}

/** The version of the protocol in a `hello`; NaN: none. @throws SandboxError `SANDBOX_AGENT` */
export function versionOf(hello: Frame): number {
  const { version } = parseReport<Hello>(hello);
  return typeof version === 'number' ? version : Number.NaN;
}
