import type { FileHandle } from 'node:fs/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { crc32c } from '@anole/bytes';

const bufferBytes = 0x10_0000;
/** Milliseconds for which others wait at most. */
const longest = 5;

/** Writes a file from front to back in large pieces, and lets others have their turns. */
export class FileWriter {
  readonly #file: FileHandle;
  readonly #signal: AbortSignal | undefined;
  readonly #buffer = new Uint8Array(bufferBytes);
  #filled = 0;
  /** Of the next byte. */
  position: number;
  /** CRC-32C of what was written since {@link begin}. */
  sum = 0;
  #last = performance.now();

  constructor(file: FileHandle, position: number, signal?: AbortSignal) {
    this.#file = file;
    this.#signal = signal;
    this.position = position;
  }

  /** Starts a sum anew. */
  begin(): void {
    this.sum = 0;
  }

  /** Takes bytes at once; write more when it resolves. */
  async write(bytes: Uint8Array): Promise<void> {
    this.sum = crc32c(bytes, this.sum);
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + bufferBytes - this.#filled);
      this.#buffer.set(part, this.#filled);
      this.#filled += part.length;
      this.position += part.length;
      at += part.length;
      if (this.#filled === bufferBytes) await this.flush();
    }
    if (performance.now() - this.#last < longest) return;
    this.#signal?.throwIfAborted();
    await turn();
    this.#last = performance.now();
  }

  async flush(): Promise<void> {
    this.#signal?.throwIfAborted();
    const start = this.position - this.#filled;
    for (let at = 0; at < this.#filled; ) {
      const left = this.#filled - at;
      at += (await this.#file.write(this.#buffer, at, left, start + at)).bytesWritten;
    }
    this.#filled = 0;
  }
}
