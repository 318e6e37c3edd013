import type { Source } from '@anole/bytes';

/** Something that clients may read. */
export interface Exported {
  /** Its bytes, as a disk has them. */
  readonly source: Source;
  /** Names the bytes: what has the same is the same. */
  readonly digest: string;
}

/** What clients may read, by names. */
export interface Exports {
  readonly names: readonly string[];
  /**
   * Opens one of the names, or gives what is open. It stays open.
   *
   * @throws what opening raises; it is tried again for the next client
   */
  open(name: string): Promise<Exported>;
}
