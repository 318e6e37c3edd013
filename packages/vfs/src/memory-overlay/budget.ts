import { VfsError } from '../errors.ts';

/** Bytes charged for an inode kept in memory, beside its data: what V8 takes (840), rounded up. */
export const NODE_COST = 1024;
/** Bytes charged for a name, an attribute, a chunk or a hole, beside its contents; V8 takes 300. */
export const ENTRY_COST = 256;

/** Counts the memory that a writable layer takes, so that a guest cannot take all of the host's. */
export class Budget {
  readonly limit: number;
  readonly #onFull: (() => void) | undefined;
  #used = 0;

  constructor(limit: number, onFull?: () => void) {
    if (!Number.isSafeInteger(limit) || limit < 0) {
      throw new VfsError('VFS_INVALID', `Cannot bound a writable layer to ${limit} bytes`);
    }
    this.limit = limit;
    this.#onFull = onFull;
  }

  get used(): number {
    return this.#used;
  }

  get free(): number {
    return Math.max(0, this.limit - this.#used);
  }

  /**
   * Takes `bytes` (negative: gives back).
   *
   * @throws VfsError `VFS_NO_SPACE` where the limit would be passed; nothing is taken then.
   */
  take(bytes: number): void {
    const used = this.#used + bytes;
    if (bytes > 0 && used > this.limit) {
      this.#onFull?.();
      throw new VfsError(
        'VFS_NO_SPACE',
        `Cannot keep ${bytes} more bytes: the writable layer holds ${this.#used} of ${this.limit}`,
        { details: { bytes, used: this.#used, limit: this.limit } },
      );
    }
    this.#used = used;
  }

  /**
   * Takes `bytes` even beyond the limit: for what is needed to remove and to rename. It is bounded by
   * the lower tree, and a full layer must not keep anyone from making room.
   */
  force(bytes: number): void {
    this.#used += bytes;
  }
}
