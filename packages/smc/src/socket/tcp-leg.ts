import { internals, type TcpHandle } from './internals.ts';
import type { PendingWrite } from './stream.ts';

/** Whoever takes what comes over TCP. */
export interface LegSink {
  onLegBytes(bytes: Uint8Array): void;
  /** @param status of libuv: `UV_EOF` or an error */
  onLegEnd(status: number): void;
}

/**
 * The TCP connection below a socket whose bytes go through shared memory: it shows when the other end
 * is gone, and takes the bytes where the other end turns out not to take part.
 */
export class TcpLeg {
  readonly handle: TcpHandle;
  private held: Uint8Array[] = [];
  private heldEnd: number | undefined;
  private readonly sink: LegSink;
  private isPaused = false;
  private isRef: boolean;

  constructor(handle: TcpHandle, sink: LegSink) {
    this.handle = handle;
    this.sink = sink;
    this.isRef = handle.hasRef();
    const { stream } = internals();
    const { streamBaseState: state, kReadBytesOrError, kArrayBufferOffset } = stream;
    handle.onread = (buffer) => {
      const count = state[kReadBytesOrError]!;
      if (count > 0) this.onBytes(new Uint8Array(buffer!, state[kArrayBufferOffset], count));
      else if (count < 0) this.onEnd(count);
    };
    handle.readStart();
  }

  /** Gives bytes on, or keeps them back. */
  onBytes(bytes: Uint8Array): void {
    if (this.isPaused) this.held.push(bytes);
    else this.sink.onLegBytes(bytes);
  }

  onEnd(status: number): void {
    if (this.isPaused) this.heldEnd = status;
    else this.sink.onLegEnd(status);
  }

  /** Whether bytes, or the end, came that nobody has been given. */
  get isHolding(): boolean {
    return this.held.length > 0 || this.heldEnd !== undefined;
  }

  /** Keeps back what comes, and soon lets the sender wait. */
  pause(): void {
    if (this.isPaused) return;
    this.isPaused = true;
    this.handle.readStop();
  }

  /** Gives on what was kept back, later. */
  resume(): void {
    if (!this.isPaused) return;
    setImmediate(() => {
      this.isPaused = false;
      while (this.held.length > 0 && !this.isPaused) this.sink.onLegBytes(this.held.shift()!);
      if (this.isPaused) return;
      if (this.heldEnd === undefined) this.handle.readStart();
      else this.sink.onLegEnd(this.heldEnd);
    });
  }

  write({ bytes, done, complete }: PendingWrite): void {
    const { stream } = internals();
    const request = new stream.WriteWrap();
    request.handle = this.handle;
    request.oncomplete = (status) => complete(status < 0 ? 'reset' : undefined);
    const rest = Buffer.from(bytes.buffer, bytes.byteOffset + done, bytes.length - done);
    const failed = this.handle.writeBuffer(request, rest) !== 0;
    if (failed || stream.streamBaseState[stream.kLastWriteWasAsync] === 0) {
      setImmediate(complete, failed ? 'reset' : undefined);
    }
  }

  /** A handle that is idle must not keep the process alive, though this one always reads. */
  setRef(wanted: boolean): void {
    if (wanted === this.isRef) return;
    this.isRef = wanted;
    if (wanted) this.handle.ref();
    else this.handle.unref();
  }
}
