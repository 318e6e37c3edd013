import type { CallOptions, OnProgress } from '@anole/bytes';
import {
  blobsOf,
  findManifest,
  type ImageReader,
  type ImageWriter,
  type ManifestDocument,
  type Origin,
  readGraph,
} from './content.ts';
import type { Descriptor } from './manifest.ts';
import type { Platform } from './platform.ts';

export interface CopyOptions extends CallOptions {
  /** What is copied: a tag or digest of the source. Default: its only image. */
  readonly selector?: string;
  /** Name at the target. Default none: the image is there by its digest only. */
  readonly tag?: string;
  /** The image for one platform instead of all. */
  readonly platform?: Platform;
  /**
   * With `platform`: keep the index as it is, though only that image comes with it. Its digest
   * stays, and other platforms can follow. For stores, not for registries.
   */
  readonly keepIndex?: boolean;
  /** Repositories that may have the blobs, beside the source. */
  readonly origins?: readonly Origin[];
  /** Blobs under way at once. Default 4. */
  readonly concurrency?: number;
}

/** What a copy did. */
export interface CopyReport {
  /** What is at the target now. */
  readonly descriptor: Descriptor;
  /** Bytes of blobs transferred, and of those that were there before. */
  readonly copied: number;
  readonly present: number;
}

/**
 * Copies an image: blobs that the target lacks, several at once; then the manifests, so that at no
 * time anything refers to what is not there. Digests do not change.
 *
 * @throws OciError, HostError. What has been copied stays and is not copied again.
 * @example
 * await copyImage(registry, store, { selector: 'latest', tag: 'HOST/web:latest' });
 */
export async function copyImage(
  from: ImageReader,
  to: ImageWriter,
  options: CopyOptions = {},
): Promise<CopyReport> {
  const call = options.signal ? { signal: options.signal } : {};
  const root = await from.resolve(options.selector, call);
  const documents = await documentsOf(from, root, options);
  const blobs = unique(documents.flatMap(blobsOf));
  const transfer = new Transfer(from, to, blobs, options);
  await transfer.run();
  // Children before parents; the root last, which alone has the name.
  for (const document of documents.toReversed()) {
    const isRoot = document === documents[0];
    options.signal?.throwIfAborted();
    await to.putManifest(
      document.descriptor,
      document.bytes,
      isRoot ? options.tag : undefined,
      call,
    );
  }
  await to.finish?.(options);
  const { copied, present } = transfer;
  return { descriptor: documents[0]!.descriptor, copied, present };
}

async function documentsOf(
  from: ImageReader,
  root: Descriptor,
  { platform, keepIndex, signal }: CopyOptions,
): Promise<readonly ManifestDocument[]> {
  const call = signal ? { signal } : {};
  if (platform === undefined) return readGraph(from, root, call);
  const image = await findManifest(from, root, platform, call);
  if (!keepIndex) return [image];
  const { digest } = image.descriptor;
  // What says no platform may be an index on the way to the image.
  const wanted = (each: Descriptor) => each.digest === digest || each.platform === undefined;
  return readGraph(from, root, { ...call, wanted });
}

function unique(descriptors: readonly Descriptor[]): readonly Descriptor[] {
  return [...new Map(descriptors.map((descriptor) => [descriptor.digest, descriptor])).values()];
}

const DEFAULT_CONCURRENCY = 4;

class Transfer {
  copied = 0;
  present = 0;
  private readonly from: ImageReader;
  private readonly to: ImageWriter;
  private readonly blobs: readonly Descriptor[];
  private readonly options: CopyOptions;
  private readonly report: (bytes: number) => void;

  constructor(
    from: ImageReader,
    to: ImageWriter,
    blobs: readonly Descriptor[],
    options: CopyOptions,
  ) {
    this.from = from;
    this.to = to;
    this.blobs = blobs;
    this.options = options;
    const total = blobs.reduce((sum, { size }) => sum + size, 0);
    this.report = meter(total, options.onProgress);
  }

  async run(): Promise<void> {
    const stop = new AbortController();
    const { signal, concurrency = DEFAULT_CONCURRENCY } = this.options;
    const joined = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
    // The largest first: the last one then is short.
    const queue = this.blobs.toSorted((a, b) => a.size - b.size);
    const worker = async () => {
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
        joined.throwIfAborted();
        await this.blob(next, joined);
      }
    };
    const workers = Array.from({ length: Math.min(concurrency, queue.length) }, async () => {
      try {
        await worker();
      } catch (error) {
        // The first failure is the one to tell of; the others are stopped by it.
        stop.abort(error);
        throw error;
      }
    });
    await Promise.allSettled(workers);
    signal?.throwIfAborted();
    if (stop.signal.aborted) throw stop.signal.reason;
  }

  private async blob(descriptor: Descriptor, signal: AbortSignal): Promise<void> {
    if (await this.to.has(descriptor, { signal })) {
      this.present += descriptor.size;
      this.report(descriptor.size);
      return;
    }
    let seen = 0;
    const { from, report } = this;
    const lent = this.to.takesLent ?? false;
    async function* open(start: number): AsyncGenerator<Uint8Array> {
      // Begun again: what was counted before is not done.
      report(start - seen);
      seen = start;
      for await (const chunk of from.blob(descriptor, { start, signal, lent })) {
        yield chunk;
        seen += chunk.length;
        report(chunk.length);
      }
    }
    const origins = [...(from.origin ? [from.origin] : []), ...(this.options.origins ?? [])];
    await this.to.putBlob(descriptor, open, { signal, origins });
    this.copied += descriptor.size;
    report(descriptor.size - seen);
  }
}

function meter(total: number, onProgress: OnProgress | undefined): (bytes: number) => void {
  let done = 0;
  let shown = 0;
  return (bytes) => {
    done += bytes;
    // What is begun again is not told: progress never falls.
    shown = Math.max(shown, done);
    onProgress?.({ step: 'copy', done: shown, total, unit: 'bytes' });
  };
}
