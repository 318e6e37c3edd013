import { closeSync } from 'node:fs';
import { VfsError } from '@anole/vfs';

/**
 * Open descriptors by owner, least recently used first. Nothing is closed but by {@link trim}, which
 * the caller calls between operations: so a number stays what it is while an operation uses it.
 */
export class DescriptorCache<Owner extends object> {
  readonly #limit: number;
  readonly #open = new Map<Owner, number>();
  readonly #pinned = new Map<Owner, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(owner: Owner): number | undefined {
    const pinned = this.#pinned.get(owner);
    if (pinned !== undefined) return pinned;
    const fd = this.#open.get(owner);
    if (fd === undefined) return undefined;
    this.#open.delete(owner);
    this.#open.set(owner, fd);
    return fd;
  }

  set(owner: Owner, fd: number): void {
    this.close(owner);
    this.#open.set(owner, fd);
  }

  /** Keeps an open descriptor until its owner is closed: nothing else leads to the file any more. */
  pin(owner: Owner, limit: number): void {
    const fd = this.#open.get(owner);
    if (fd === undefined) return;
    if (this.#pinned.size >= limit) {
      const message = `Cannot keep more than ${limit} files that are removed and in use`;
      throw new VfsError('VFS_NO_SPACE', message);
    }
    this.#open.delete(owner);
    this.#pinned.set(owner, fd);
  }

  unpin(owner: Owner): void {
    const fd = this.#pinned.get(owner);
    if (fd === undefined) return;
    this.#pinned.delete(owner);
    this.#open.set(owner, fd);
  }

  close(owner: Owner): void {
    for (const kept of [this.#open, this.#pinned]) {
      const fd = kept.get(owner);
      if (fd === undefined) continue;
      kept.delete(owner);
      closeSync(fd);
    }
  }

  trim(): void {
    for (const owner of this.#open.keys()) {
      if (this.#open.size <= this.#limit) return;
      this.close(owner);
    }
  }

  closeAll(): void {
    for (const kept of [this.#open, this.#pinned]) {
      for (const fd of kept.values()) closeSync(fd);
      kept.clear();
    }
  }
}
