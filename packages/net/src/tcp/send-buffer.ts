/** Pieces smaller than this are gathered, so that many of them take no more memory than their bytes. */
const small = 2048;
const blockBytes = 16384;

/** Bytes on their way to the guest, from the first that it has not acknowledged. */
export class SendBuffer {
  length = 0;
  readonly #chunks: Uint8Array[] = [];
  /** Bytes of the first chunk that are acknowledged. */
  #done = 0;
  /** Bytes free behind the last chunk, which is then a block of ours. */
  #room = 0;

  /** The bytes are the buffer's from then on. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.length += bytes.length;
    const last = this.#chunks.at(-1);
    if (bytes.length >= small) {
      this.#chunks.push(bytes);
      this.#room = 0;
    } else if (last !== undefined && this.#room >= bytes.length) {
      const whole = new Uint8Array(last.buffer, 0, last.length + bytes.length);
      whole.set(bytes, last.length);
      this.#chunks[this.#chunks.length - 1] = whole;
      this.#room -= bytes.length;
    } else {
      const block = new Uint8Array(blockBytes);
      block.set(bytes);
      this.#chunks.push(block.subarray(0, bytes.length));
      this.#room = blockBytes - bytes.length;
    }
  }

  /** Forgets the first bytes. */
  drop(count: number): void {
    this.length -= count;
    this.#done += count;
    let gone = 0;
    while (gone < this.#chunks.length && this.#done >= this.#chunks[gone]!.length) {
      this.#done -= this.#chunks[gone++]!.length;
    }
    if (gone > 0) this.#chunks.splice(0, gone);
    if (this.#chunks.length === 0) this.#room = 0;
  }

  /** Bytes from `offset` on, as pieces of what was pushed. */
  slices(offset: number, length: number): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    let at = this.#done + offset;
    let left = length;
    for (let index = 0; left > 0; index++) {
      const chunk = this.#chunks[index]!;
      if (at < chunk.length) {
        const piece = chunk.subarray(at, at + left);
        pieces.push(piece);
        left -= piece.length;
        at = 0;
      } else at -= chunk.length;
    }
    return pieces;
  }

  clear(): void {
    this.#chunks.length = 0;
    this.length = 0;
    this.#done = 0;
    this.#room = 0;
  }
}
