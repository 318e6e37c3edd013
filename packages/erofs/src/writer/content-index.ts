const FIRST_CAPACITY = 1024;
/** A place that holds nothing. */
const FREE = 0;
/** Numbers of a record: hash, length, and the place after it plus one. */
const RECORD = 3;

/**
 * Finds contents that were seen before by their hash and length, or another hash. It keeps 12 bytes for each, in a table
 * that is at most three quarters full; whoever asks compares the contents themselves.
 */
export class ContentIndex {
  #table = new Uint32Array(FIRST_CAPACITY * RECORD);
  #count = 0;

  /** Places of contents that may be the same, the one added first first. */
  *find(hash: number, length: number): Generator<number> {
    for (let at = this.#slot(hash); this.#table[at + 2] !== FREE; at = this.#next(at)) {
      if (this.#table[at] === hash && this.#table[at + 1] === length)
        yield this.#table[at + 2]! - 1;
    }
  }

  /** Whether there are contents of this hash, of whatever length. */
  has(hash: number): boolean {
    for (let at = this.#slot(hash); this.#table[at + 2] !== FREE; at = this.#next(at)) {
      if (this.#table[at] === hash) return true;
    }
    return false;
  }

  /** @param place below 2^32 - 1 */
  add(hash: number, length: number, place: number): void {
    if (++this.#count * RECORD * 4 > this.#table.length * 3) this.#grow();
    this.#put(hash, length, place + 1);
  }

  #put(hash: number, length: number, value: number): void {
    let at = this.#slot(hash);
    while (this.#table[at + 2] !== FREE) at = this.#next(at);
    this.#table[at] = hash;
    this.#table[at + 1] = length;
    this.#table[at + 2] = value;
  }

  #slot(hash: number): number {
    return (hash % (this.#table.length / RECORD)) * RECORD;
  }

  #next(at: number): number {
    return at + RECORD === this.#table.length ? 0 : at + RECORD;
  }

  #grow(): void {
    const old = this.#table;
    this.#table = new Uint32Array(old.length * 2);
    // From behind a free place on, what was added first comes first again.
    let start = 0;
    while (old[start + 2] !== FREE) start += RECORD;
    for (let step = 0; step < old.length; step += RECORD) {
      const at = (start + step) % old.length;
      if (old[at + 2] !== FREE) this.#put(old[at]!, old[at + 1]!, old[at + 2]!);
    }
  }
}
