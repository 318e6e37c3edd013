/** Bytes handed out at once. At least the largest block, so that the superblock's is in the first. */
const BUFFER_SIZE = 256 * 1024;

/**
 * Gathers a stream from pieces at rising offsets. Gaps are zeros. Full buffers wait in `take()`;
 * each is fresh memory that the writer does not touch again.
 */
export class Output {
  #buffer = new Uint8Array(BUFFER_SIZE);
  #used = 0;
  #flushed = 0;
  #full: Uint8Array[] = [];

  /** Bytes so far: where the next piece goes. */
  get position(): number {
    return this.#flushed + this.#used;
  }

  append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const count = Math.min(bytes.length - at, BUFFER_SIZE - this.#used);
      this.#buffer.set(bytes.subarray(at, at + count), this.#used);
      at += count;
      this.#advance(count);
    }
  }

  /** Zeros up to `position`, which is not before the present one. */
  skipTo(position: number): void {
    while (this.position < position) {
      this.#advance(Math.min(position - this.position, BUFFER_SIZE - this.#used));
    }
  }

  /** Whether `take` has something. */
  get ready(): boolean {
    return this.#full.length > 0;
  }

  /** The buffers that are full. */
  take(): Uint8Array[] {
    const full = this.#full;
    this.#full = [];
    return full;
  }

  /** Ends the present buffer early: `take` gives all there is. */
  flush(): void {
    if (this.#used === 0) return;
    this.#full.push(this.#buffer.subarray(0, this.#used));
    this.#flushed += this.#used;
    this.#used = 0;
    this.#buffer = new Uint8Array(BUFFER_SIZE);
  }

  /** Accounts for bytes that pass by the buffer. Everything before was taken. */
  passed(count: number): void {
    this.#flushed += count;
  }

  #advance(count: number): void {
    this.#used += count;
    if (this.#used === BUFFER_SIZE) this.flush();
  }
}
