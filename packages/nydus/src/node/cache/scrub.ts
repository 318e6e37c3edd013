import { setTimeout as sleep } from 'node:timers/promises';
import type { CachedBlob } from './blob.ts';

/** Milliseconds between two looks. */
const PAUSE = 8000;
/** Bytes that are read at each of files that others changed, and of all others: half a megabyte a second. */
const OF_CHANGED = 64 * 1024 * 1024;
const OF_ALL = 4 * 1024 * 1024;
/** Bytes that are read at once, and milliseconds between two such pieces. */
const PIECE = 1024 * 1024;
const SHORT = 20;

/**
 * Reads the files of open blobs again, for readers who read them without us, as a kernel that has an image mounted: what
 * is not any more what was proven is fetched again, and the blob's events tell of it. A file that somebody else changed
 * is read soon, all others in turn and slowly. Between two looks nothing is noticed.
 */
export class Scrub implements AsyncDisposable {
  readonly #blobs: () => Iterable<CachedBlob>;
  readonly #between: number;
  readonly #ending = new AbortController();
  readonly #working: Promise<void>;

  /** @param between milliseconds between two looks */
  constructor(blobs: () => Iterable<CachedBlob>, between = PAUSE) {
    this.#blobs = blobs;
    this.#between = between;
    this.#working = this.#work();
  }

  /** Ends once what is being looked at has been. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#working;
  }

  async #work(): Promise<void> {
    let changed: Turn | undefined;
    let any: Turn | undefined;
    while (await this.#pause(this.#between)) {
      changed = await this.#next(changed, true);
      any = await this.#next(any, false);
    }
  }

  /** Looks at the next bytes: of the blob whose turn it is, and then of the next one, or the next that others changed. */
  async #next(last: Turn | undefined, ofChanged: boolean): Promise<Turn | undefined> {
    const blobs = [...this.#blobs()];
    const at = last ? blobs.indexOf(last.blob) : -1;
    const goesOn = last !== undefined && at >= 0 && last.offset < last.blob.size;
    const inTurn = [...blobs.slice(at + 1), ...blobs.slice(0, at + 1)];
    const blob = goesOn ? last.blob : inTurn.find((each) => !ofChanged || each.isChanged);
    if (blob === undefined) return last;
    const offset = goesOn ? last.offset : 0;
    if (ofChanged && !goesOn) blob.looking();
    const end = offset + (ofChanged ? OF_CHANGED : OF_ALL);
    await this.#scrub(blob, offset, end);
    return { blob, offset: end };
  }

  async #scrub(blob: CachedBlob, from: number, end: number): Promise<void> {
    for (let at = from; at < Math.min(end, blob.size); at += PIECE) {
      if (!(await this.#pause(SHORT))) return;
      await scrubPart(blob, at, PIECE);
    }
  }

  async #pause(time: number): Promise<boolean> {
    const { signal } = this.#ending;
    await sleep(time, undefined, { ref: false, signal }).catch(() => undefined);
    return !signal.aborted;
  }
}

/** Where a look ended. */
interface Turn {
  readonly blob: CachedBlob;
  readonly offset: number;
}

/** Looks at a part of a blob, and has what is wrong brought again. Nothing is thrown: the blob tells of what fails. */
export async function scrubPart(blob: CachedBlob, from: number, length: number): Promise<void> {
  const end = Math.min(from + length, blob.size);
  for (let at = from; at < end && !blob.isClosed; ) {
    const stop = Math.min(blob.chunks.offsetOf(blob.chunks.indexAt(at) + 1), end);
    try {
      if (!blob.check(at, stop - at)) await blob.ensure(at, 1);
    } catch {
      // It is tried again the next time, and by whoever reads it.
    }
    at = stop;
  }
}
