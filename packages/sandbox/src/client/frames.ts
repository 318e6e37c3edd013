import { headerBytes, maxPayload, writeHeader } from '../agent/wire.ts';
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

/** Cuts a stream of bytes into frames. */
export class FrameReader {
  #rest: Uint8Array = new Uint8Array(0);

  /**
   * The frames that `bytes` completes.
   * @throws SandboxError `SANDBOX_AGENT` on a length that no frame has
   */
  *read(bytes: Uint8Array): Generator<Frame> {
    let data = bytes;
    if (this.#rest.length > 0) {
      data = new Uint8Array(this.#rest.length + bytes.length);
      data.set(this.#rest);
      data.set(bytes, this.#rest.length);
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
      if (end > data.length) break;
      yield {
        type: view.getUint8(at + 4),
        command: view.getUint32(at + 5, true),
        payload: data.subarray(at + headerBytes, end),
      };
      at = end;
    }
    this.#rest = data.subarray(at);
  }
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
