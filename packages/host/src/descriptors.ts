import { closeSync } from 'node:fs';

/**
 * Descriptors kept open for the owners that used them last. Opening a file is several times the
 * price of reading from it; one descriptor per file of a large tree would be too many.
 */
export class Descriptors<Owner> {
  private readonly limit: number;
  private readonly close: (fd: number) => void;
  private readonly opened = new Map<Owner, number>();
  /** Whose was asked for last: mostly it is next, too. */
  private last: Owner | undefined;
  private lastFd = -1;

  constructor(limit: number, close: (fd: number) => void = closeSync) {
    this.limit = limit;
    this.close = close;
  }

  /** The owner's descriptor, opened by `open` where it is not there. Valid until the next call. */
  of(owner: Owner, open: () => number): number {
    if (this.last !== owner || this.lastFd < 0) {
      this.lastFd = this.find(owner, open);
      this.last = owner;
    }
    return this.lastFd;
  }

  private find(owner: Owner, open: () => number): number {
    const known = this.opened.get(owner);
    if (known !== undefined) {
      // A Map keeps the order of insertion: the first is the one used least recently.
      this.opened.delete(owner);
      this.opened.set(owner, known);
      return known;
    }
    const fd = open();
    this.opened.set(owner, fd);
    if (this.opened.size > this.limit) {
      const [oldest, oldestFd] = this.opened.entries().next().value!;
      this.opened.delete(oldest);
      this.close(oldestFd);
    }
    return fd;
  }

  closeAll(): void {
    for (const fd of this.opened.values()) this.close(fd);
    this.opened.clear();
    this.last = undefined;
    this.lastFd = -1;
  }
}
