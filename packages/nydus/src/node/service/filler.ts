import { closeSync, fstatSync } from 'node:fs';
import { type AccessEvent, type PreContentGroup, ReadyBlocks } from '@anole/host/native';
import type { CachedBlob } from '../cache/blob.ts';

/** Bytes behind what is read of which it is looked whether they are there, too. */
const AHEAD = 16 * 1024 * 1024;

export interface FillerEvents {
  /** A reader was refused. */
  onRefused?(blob: CachedBlob, event: Omit<AccessEvent, 'fd'>, error: unknown): void;
  /** What nobody waits for has failed: it is nobody's fault who reads or mounts, and ends nothing. */
  onFault?(error: unknown): void;
}

interface Entry {
  readonly blob: CachedBlob;
  /** Of these nobody is told. */
  readonly ready: ReadyBlocks;
  uses: number;
  /** Of these, whose file somebody is still to open. */
  opening: number;
  /** Reads that got an error. */
  failures: number;
  /** Whether reads of the file are told. */
  isMarked: boolean;
}

/**
 * Puts into the files of blobs what somebody is about to read there: the kernel, for a mounted image.
 */
export class Filler {
  readonly group: PreContentGroup;
  readonly #blobs = new Map<number, Entry>();
  readonly #events: FillerEvents;
  readonly #filling = new Set<Promise<void>>();
  #serving: Promise<void> = Promise.resolve();

  /** Takes over the group. */
  constructor(group: PreContentGroup, events: FillerEvents = {}) {
    this.group = group;
    this.#events = events;
  }

  /** Begins, once all blobs have been added that somebody may be reading already. */
  start(): void {
    this.#serving = this.#serve();
  }

  /**
   * From now on reads of the blob's file wait until it has what they want, of all who open it before {@link opened}. Not for
   * blobs whose descriptor is younger than a mark of the same file.
   *
   * @throws HostError as `PreContentGroup.mark`; then it is as before
   */
  add(blob: CachedBlob): void {
    const entry = this.#of(blob) ?? this.#make(blob);
    entry.uses++;
    entry.opening++;
    try {
      this.#mark(entry);
    } catch (error) {
      this.opened(blob);
      this.remove(blob);
      throw error;
    }
  }

  /** Who was to open the file has done so, or never will: it is watched no more while it has all. */
  opened(blob: CachedBlob): void {
    const entry = this.#of(blob);
    if (entry === undefined) return;
    entry.opening--;
    this.#rest(entry);
  }

  /** @returns whether that was the last of several uses */
  remove(blob: CachedBlob): boolean {
    const known = this.#of(blob);
    if (known === undefined || --known.uses > 0) return false;
    this.#unmark(known);
    known.blob.watcher = undefined;
    this.#blobs.delete(fstatSync(blob.fd).ino);
    return true;
  }

  /** How often readers of a blob that is filled here got an error. */
  failuresOf(blob: CachedBlob): number {
    return this.#of(blob)?.failures ?? 0;
  }

  #of(blob: CachedBlob): Entry | undefined {
    return this.#blobs.get(fstatSync(blob.fd).ino);
  }

  #make(blob: CachedBlob): Entry {
    const ready = new ReadyBlocks(blob.size);
    const entry = { blob, ready, uses: 0, opening: 0, failures: 0, isMarked: false };
    this.#blobs.set(fstatSync(blob.fd).ino, entry);
    blob.watcher = {
      lost: (start, end) => this.#lose(entry, start, end),
      whole: () => this.#rest(entry),
    };
    return entry;
  }

  /** Takes no more events, answers those that it has, and gives up the group. */
  async close(): Promise<void> {
    for (const { blob } of this.#blobs.values()) blob.watcher = undefined;
    await this.group.stop();
    await this.#serving;
    await Promise.all(this.#filling);
    await this.group.close();
  }

  async #serve(): Promise<void> {
    for (;;) {
      const events = await this.group.next();
      if (events.length === 0) return;
      for (const event of events) {
        const filling = this.#fill(event)
          .catch((error: unknown) => this.#events.onFault?.(error))
          .finally(() => this.#filling.delete(filling));
        this.#filling.add(filling);
      }
    }
  }

  async #fill({ fd, ...event }: AccessEvent): Promise<void> {
    const known = this.#blobs.get(fstatSync(fd).ino);
    let allow = false;
    try {
      // What nobody is responsible for any more must not be read as zeros.
      if (known) allow = await fillRange(known, event.offset, event.length);
      if (!allow) throw new Error('the disk does not take what was fetched');
    } catch (error) {
      if (known) known.failures++;
      if (known) this.#events.onRefused?.(known.blob, event, error);
    }
    this.group.answer(fd, allow);
    closeSync(fd);
  }

  /** A heal may take long, or fail: meanwhile nobody may read what is wrong. */
  #lose(entry: Entry, start: number, end: number): void {
    entry.ready.take(start, end);
    try {
      this.#mark(entry);
    } catch (error) {
      this.#events.onFault?.(error);
    }
  }

  /** Nobody waits for anything in a file that has all. */
  #rest(entry: Entry): void {
    if (entry.opening === 0 && entry.blob.isProven) this.#unmark(entry);
  }

  #mark(entry: Entry): void {
    if (entry.isMarked) return;
    this.group.mark(entry.blob.fd, entry.ready);
    entry.isMarked = true;
  }

  #unmark(entry: Entry): void {
    if (!entry.isMarked) return;
    entry.isMarked = false;
    this.group.unmark(entry.blob.fd);
  }
}

/** Whether the file has the range in the end. */
async function fillRange({ blob, ready }: Entry, offset: number, length: number): Promise<boolean> {
  const end = Math.min(blob.size, offset + length);
  if (end <= offset) return true;
  await blob.ensure(offset, end - offset);
  if (!blob.holds(offset, end - offset)) return false;
  // Also what has come ahead of readers, behind what they read.
  ready.put(offset, blob.heldUntil(offset, Math.min(blob.size, end + AHEAD)));
  return true;
}
