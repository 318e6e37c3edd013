import { once } from 'node:events';
import type { Socket } from 'node:net';
import { AnoleError } from '@anole/bytes';

/** Kinds of frames between `anole` and its daemon: a byte, a length (u32, little-endian), the rest. */
export const kind = { json: 1, data: 2, stdout: 3, stderr: 4, end: 5 } as const;

export interface Frame {
  readonly kind: number;
  readonly payload: Uint8Array;
}

const headerBytes = 5;
const maxPayload = 4 << 20;
const pieceBytes = 1 << 18;

/** A connection that carries frames both ways. */
export class FrameSocket {
  readonly socket: Socket;
  #gone = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => {
      this.#gone = true;
    });
    socket.on('close', () => {
      this.#gone = true;
    });
  }

  /** Sends a frame; resolves once there is room for more, also where the other side is gone. */
  async send(kind: number, payload: Uint8Array): Promise<void> {
    for (let at = 0; at === 0 || at < payload.length; at += pieceBytes) {
      const piece = payload.subarray(at, at + pieceBytes);
      const header = Buffer.alloc(headerBytes);
      header.writeUInt8(kind, 0);
      header.writeUInt32LE(piece.length, 1);
      if (this.#gone) return;
      this.socket.write(header);
      if (this.socket.write(piece)) continue;
      const left = new AbortController();
      const gone = () => left.abort();
      this.socket.once('close', gone);
      await once(this.socket, 'drain', { signal: left.signal }).catch(() => {});
      this.socket.off('close', gone);
    }
  }

  async sendJson(value: unknown): Promise<void> {
    const bytes = Buffer.from(JSON.stringify(value));
    if (bytes.length > pieceBytes) throw broken(`a message of ${bytes.length} bytes`);
    await this.send(kind.json, bytes);
  }

  /**
   * What comes, until the other side ends or is killed.
   *
   * @throws AnoleError `CLI_DAEMON`; what {@link leave} was given
   */
  async *frames(): AsyncGenerator<Frame> {
    let rest: Buffer = Buffer.alloc(0);
    for await (const chunk of this.#chunks()) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      for (;;) {
        if (rest.length < headerBytes) break;
        const length = rest.readUInt32LE(1);
        if (length > maxPayload) throw broken(`a frame of ${length} bytes`);
        if (rest.length < headerBytes + length) break;
        yield { kind: rest[0]!, payload: rest.subarray(headerBytes, headerBytes + length) };
        rest = rest.subarray(headerBytes + length);
      }
    }
  }

  /** Ends at once, for a reason that {@link frames} throws. */
  leave(reason: AnoleError): void {
    this.socket.destroy(reason);
  }

  close(): void {
    this.socket.end();
  }

  async *#chunks(): AsyncGenerator<Buffer> {
    try {
      yield* this.socket as AsyncIterable<Buffer>;
    } catch (error) {
      // A process that is killed leaves no end behind, which Node reports in several ways.
      if (AnoleError.is(error)) throw error;
    }
  }
}

/** The value of a JSON frame. @throws AnoleError `CLI_DAEMON` */
export function jsonOf(frame: Frame): unknown {
  try {
    if (frame.kind === kind.json) return JSON.parse(Buffer.from(frame.payload).toString());
  } catch {
    // Told below.
  }
  throw broken(`a frame of kind ${frame.kind} where a message was expected`);
}

function broken(what: string): AnoleError {
  return new AnoleError('CLI_DAEMON', `Cannot understand the other side: ${what}`);
}
