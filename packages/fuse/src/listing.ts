import type { DirectoryEntry } from '@anole/vfs';

/** Positions of `.` and `..`; those of entries are above. */
export const DOT = 1;
export const DOT_DOT = 2;

/**
 * The entries of one directory, each at a position that it keeps as long as it exists: whoever reads
 * on behind a position neither misses nor meets twice what was there all along, whatever else was
 * made or removed meanwhile (readdir(3)). New entries come last.
 */
export class Listing {
  #entries: readonly DirectoryEntry[];
  #positions: number[];
  #next: number;

  constructor(entries: readonly DirectoryEntry[]) {
    this.#entries = entries;
    this.#positions = entries.map((_, index) => DOT_DOT + 1 + index);
    this.#next = DOT_DOT + 1 + entries.length;
  }

  /** Takes over what the directory has now. */
  update(entries: readonly DirectoryEntry[]): void {
    if (entries === this.#entries) return;
    const former = new Map<string, number>();
    this.#entries.forEach(({ name }, index) => {
      former.set(name, this.#positions[index]!);
    });
    const placed = entries.map((entry) => ({
      entry,
      position: former.get(entry.name) ?? this.#next++,
    }));
    placed.sort((a, b) => a.position - b.position);
    this.#entries = placed.map(({ entry }) => entry);
    this.#positions = placed.map(({ position }) => position);
  }

  /** Entries behind `position`, in order, each with its own. */
  *after(position: number): Generator<readonly [DirectoryEntry, number]> {
    let low = 0;
    let high = this.#positions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#positions[middle]! <= position) low = middle + 1;
      else high = middle;
    }
    const entries = this.#entries;
    const positions = this.#positions;
    for (let index = low; index < entries.length; index++) {
      yield [entries[index]!, positions[index]!];
    }
  }
}
