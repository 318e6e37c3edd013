import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import type { ReadOptions } from '@anole/bytes';
import type { BlobOptions, ImageReader, ImageWriter } from '../content.ts';
import type { Descriptor } from '../manifest.ts';

/** Chunks that one of the two takers of a stream may be ahead of the other. */
const AHEAD = 4;

type Store = Pick<ImageReader, 'blob'> & Pick<ImageWriter, 'has' | 'putBlob'>;

/**
 * Reads images where they are, and keeps their blobs on the way: what comes goes to the reader and into a
 * store at the same time, and of the blobs that are expected the next one comes meanwhile. So layers are
 * unpacked while they download, and come once. What the store has is read from there.
 *
 * Bytes are given before their digest is known, as those of every ImageReader; the end of a blob is given only
 * when the store has proven and kept it. Where that fails, nothing is kept and reading raises why.
 */
export class KeepingReader implements ImageReader, AsyncDisposable {
  readonly name: string;
  readonly #from: ImageReader;
  readonly #store: Store;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  #expected: readonly Descriptor[] = [];
  /** Of blobs that are fetched before they are asked for. */
  readonly #fetches = new Map<string, Promise<void>>();

  constructor(from: ImageReader, store: Store, { signal }: ReadOptions = {}) {
    this.name = from.name;
    this.#from = from;
    this.#store = store;
    this.#signal = signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal;
  }

  resolve(selector: string | undefined, options?: ReadOptions): Promise<Descriptor> {
    return this.#from.resolve(selector, options);
  }

  manifest(descriptor: Descriptor, options?: ReadOptions): Promise<Uint8Array> {
    return this.#from.manifest(descriptor, options);
  }

  /** Blobs that will be read, in this order. */
  expect(blobs: readonly Descriptor[]): void {
    this.#expected = blobs;
  }

  async *blob(descriptor: Descriptor, options: BlobOptions = {}): AsyncGenerator<Uint8Array> {
    const { start = 0, end = descriptor.size } = options;
    await this.#fetches.get(descriptor.digest);
    this.#fetchAfter(descriptor);
    let at = 0;
    if (!(await this.#store.has(descriptor, { signal: this.#signal }))) {
      for await (const chunk of this.#arriving(descriptor)) {
        const part = chunk.subarray(Math.max(start - at, 0), Math.max(end - at, 0));
        at += chunk.length;
        if (part.length > 0) yield part;
      }
    }
    const left = Math.max(start, at);
    if (left < end) yield* this.#store.blob(descriptor, { ...options, start: left });
  }

  /** Stops what is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled(this.#fetches.values());
  }

  #fetchAfter({ digest }: Descriptor): void {
    const place = this.#expected.findIndex((each) => each.digest === digest);
    const next = place < 0 ? undefined : this.#expected[place + 1];
    if (next === undefined || next.digest === digest || this.#fetches.has(next.digest)) return;
    const call = { signal: this.#signal };
    const open = (start: number) => this.#from.blob(next, { start, ...call });
    const fetch = this.#store.putBlob(next, open, call);
    // What it raises is met by who reads the blob.
    fetch.catch(() => {});
    this.#fetches.set(next.digest, fetch);
  }

  /** A blob's first bytes, as many as come in one go while the store takes them; often all. */
  async *#arriving(descriptor: Descriptor): AsyncGenerator<Uint8Array> {
    const left = new AbortController();
    const signal = AbortSignal.any([this.#signal, left.signal]);
    const reader = new PassThrough({ objectMode: true, highWaterMark: AHEAD });
    const from = this.#from;
    let passed = 0;
    // Called again, or for what an earlier attempt lacks: what does not follow is read from the store later.
    async function* open(start: number): AsyncGenerator<Uint8Array> {
      const follows = start === passed;
      for await (const chunk of from.blob(descriptor, { start, signal })) {
        if (follows) {
          passed += chunk.length;
          if (!reader.write(chunk)) await once(reader, 'drain', { signal });
        }
        yield chunk;
      }
    }
    const keeping = this.#store.putBlob(descriptor, open, { signal });
    keeping.then(
      () => reader.end(),
      (error: unknown) => reader.destroy(error instanceof Error ? error : new Error(String(error))),
    );
    try {
      yield* reader as AsyncIterable<Uint8Array>;
      await keeping;
    } finally {
      left.abort();
      await keeping.catch(() => {});
    }
  }
}
