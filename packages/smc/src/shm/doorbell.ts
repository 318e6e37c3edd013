import { writeSmall } from '@anole/host/native';
import { internals, type PipeHandle } from '../socket/internals.ts';

const ring = Buffer.of(1);

/**
 * The Unix socket of a link after its handshake: a byte wakes the other side, and its end says that
 * the other side is gone. It does not keep the process alive.
 */
export class Doorbell {
  private readonly pipe: PipeHandle;
  private readonly fd: number;
  private open = true;
  /** Node writes into it, and does not keep it. */
  private readonly rings = Buffer.alloc(64);

  constructor(pipe: PipeHandle, onRing: () => void, onEnd: () => void) {
    const { stream } = internals();
    this.pipe = pipe;
    this.fd = pipe.fd;
    pipe.useUserBuffer(this.rings);
    pipe.onread = () => {
      const count = stream.streamBaseState[stream.kReadBytesOrError]!;
      if (count > 0) onRing();
      // 0: there was nothing after all.
      if (count >= 0 || !this.open) return;
      this.close();
      onEnd();
    };
    pipe.unref();
    pipe.readStart();
  }

  /** A full socket holds enough rings already; a closed one is noticed by reading. */
  ring(): void {
    if (this.open) writeSmall(this.fd, ring);
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.pipe.close();
  }
}
