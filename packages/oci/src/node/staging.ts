import { createHash, hash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { CallOptions } from '@anole/bytes';
import { VERITY_BLOCK, VerityBuilder } from '@anole/bytes/verity';
import { hostError } from '@anole/host';
import type { ImageWriter } from '../content.ts';
import type { Digest } from '../digest.ts';
import { dmverityAnnotations } from '../dmverity.ts';
import type { Descriptor } from '../manifest.ts';
import { readFileRange } from './read-range.ts';
import { type StagingDirectory, stagingDirectory } from './staging-directory.ts';

export interface StagingOptions extends CallOptions {
  /** Directory for files as large as the layers, where the target has none of its own. */
  readonly scratch: string;
}

/** A layer that has been written, and the digest of what it decompresses to. */
export interface WrittenLayer {
  readonly layer: Descriptor;
  readonly diffId: Digest;
}

/** One that waits in a file, which is there until it is put or its staging is disposed of. */
export interface StagedLayer extends WrittenLayer {
  readonly path: string;
}

/** Takes the bytes of a layer in order; each call's are written when it returns. */
export interface LayerSink {
  write(bytes: Uint8Array): void;
}

/**
 * Layers whose digests are known at the end only: they go through files, in the target's own workspace
 * where it has one, and are put when all is well.
 */
export class Staging implements AsyncDisposable {
  private readonly to: ImageWriter;
  private readonly directory: StagingDirectory;
  private readonly signal: AbortSignal | undefined;
  private count = 0;

  private constructor(
    to: ImageWriter,
    directory: StagingDirectory,
    signal: AbortSignal | undefined,
  ) {
    this.to = to;
    this.directory = directory;
    this.signal = signal;
  }

  static async open(to: ImageWriter, { scratch, signal }: StagingOptions): Promise<Staging> {
    try {
      return new Staging(to, await stagingDirectory(to.workspace, scratch), signal);
    } catch (error) {
      throw hostError(error, 'write a layer');
    }
  }

  /** Writes a layer, through a compressor where one is given. Chunks may be reused by their maker. */
  async add(
    bytes: AsyncIterable<Uint8Array>,
    mediaType: string,
    compressor?: Transform,
  ): Promise<StagedLayer> {
    if (compressor === undefined)
      return (await this.fill(mediaType, (sink) => drain(bytes, sink))).layer;
    const inner = createHash('sha256');
    async function* hashed(): AsyncGenerator<Uint8Array> {
      for await (const chunk of bytes) {
        inner.update(chunk);
        // The compressor keeps it while the next one is made.
        yield chunk.slice();
      }
    }
    const { signal } = this;
    const source = Readable.from(hashed(), { objectMode: false });
    const feeding = pipeline(source, compressor, signal ? { signal } : {});
    // What it raises, the reading of the compressor raises too.
    feeding.catch(() => {});
    const { layer } = await this.fill(mediaType, (sink) => drain(compressor, sink));
    await feeding;
    return { ...layer, diffId: `sha256:${inner.digest('hex')}` };
  }

  /** As `add`, with dm-verity's hashes behind it: so a reader can trust any range of it. */
  async addProtected(bytes: AsyncIterable<Uint8Array>, mediaType: string): Promise<StagedLayer> {
    const verity = new VerityBuilder((block) => hash('sha256', block, 'buffer'));
    const { layer, result } = await this.fill(mediaType, async (sink) => {
      let size = 0;
      const put = (chunk: Uint8Array) => {
        verity.update(chunk);
        size += chunk.length;
        sink.write(chunk);
      };
      await drain(bytes, { write: put });
      put(new Uint8Array((VERITY_BLOCK - (size % VERITY_BLOCK)) % VERITY_BLOCK));
      const { rootHash, bytes: hashes } = verity.finish();
      sink.write(hashes);
      return dmverityAnnotations({ rootHash, hashOffset: size });
    });
    return { ...layer, layer: { ...layer.layer, annotations: result } };
  }

  /** Writes a layer by what gives its bytes one after the other. */
  async fill<T>(
    mediaType: string,
    write: (sink: LayerSink) => Promise<T>,
  ): Promise<{ readonly layer: StagedLayer; readonly result: T }> {
    const path = join(this.directory.path, String(this.count++));
    const sha256 = createHash('sha256');
    let size = 0;
    try {
      const fd = openSync(path, 'wx', 0o644);
      try {
        // Synchronous: a chunk is valid until the next only, and copies would cost more than waiting.
        const result = await write({
          write: (chunk) => {
            this.signal?.throwIfAborted();
            sha256.update(chunk);
            size += chunk.length;
            for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
          },
        });
        const digest = `sha256:${sha256.digest('hex')}`;
        return { layer: { layer: { mediaType, digest, size }, diffId: digest, path }, result };
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      this.signal?.throwIfAborted();
      throw hostError(error, 'write a layer');
    }
  }

  /** Puts a layer where it belongs. Its file is gone then. */
  async put({ layer, path }: StagedLayer): Promise<void> {
    const call = this.signal ? { signal: this.signal } : {};
    if (this.to.adopt) await this.to.adopt(layer, path);
    else await this.to.putBlob(layer, (start) => readFileRange(path, { start, ...call }), call);
    await rm(path, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.directory[Symbol.asyncDispose]();
  }
}

async function drain(bytes: AsyncIterable<Uint8Array>, sink: LayerSink): Promise<void> {
  for await (const chunk of bytes) sink.write(chunk);
}
