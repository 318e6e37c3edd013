import type { Spool } from './spool.ts';

/** Gathers writes that follow on each other in memory and in the spool. */
export class SpoolWriter {
  readonly #spool: Spool;
  #bytes: Uint8Array | undefined;
  #start = 0;
  #end = 0;
  #offset = 0;

  constructor(spool: Spool) {
    this.#spool = spool;
  }

  /** Bytes of `memory`, which must stay until the next flush. */
  async write(offset: number, memory: Uint8Array, start: number, end: number): Promise<void> {
    const follows =
      this.#bytes === memory &&
      this.#end === start &&
      this.#offset + this.#end - this.#start === offset;
    if (!follows) {
      await this.flush(offset);
      this.#bytes = memory;
      this.#start = start;
      this.#offset = offset;
    }
    this.#end = end;
  }

  /** Writes what waits, but for what lies at `limit` or behind: that was given up. */
  async flush(limit = Number.POSITIVE_INFINITY): Promise<void> {
    const end = Math.min(this.#end, this.#start + Math.max(limit - this.#offset, 0));
    const bytes = this.#bytes?.subarray(this.#start, end);
    this.#bytes = undefined;
    if (bytes && bytes.length > 0) await this.#spool.write(this.#offset, bytes);
  }
}
