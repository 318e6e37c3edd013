import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip, createZstdCompress } from 'node:zlib';
import type { CallOptions } from '@anole/bytes';
import { hostError } from '@anole/host';
import type { ImageWriter } from '../content.ts';
import type { Digest } from '../digest.ts';
import type { Descriptor } from '../manifest.ts';
import { type Compression, mediaTypes } from '../media-types.ts';

export interface WriteLayerOptions extends CallOptions {
  /** Directory for a file as large as the layer. */
  readonly scratch: string;
  /** Default `gzip`. */
  readonly compression?: Compression;
}

/** A layer that has been written, and the digest of what it decompresses to. */
export interface WrittenLayer {
  readonly layer: Descriptor;
  readonly diffId: Digest;
}

const types: Readonly<Record<Compression, string>> = {
  none: mediaTypes.layer,
  gzip: mediaTypes.layerGzip,
  zstd: mediaTypes.layerZstd,
};

/**
 * Writes a tar archive as a layer. The same bytes give the same layer, with the same version of
 * Node's compressors. Chunks may be reused by their maker.
 */
export function writeLayer(
  tar: AsyncIterable<Uint8Array>,
  to: ImageWriter,
  options: WriteLayerOptions,
): Promise<WrittenLayer> {
  const compression = options.compression ?? 'gzip';
  const compressor =
    compression === 'none' ? [] : [compression === 'gzip' ? createGzip() : createZstdCompress()];
  return writeBlob(tar, to, compressor, types[compression], options);
}

/** Writes bytes whose digest is known at the end only: through a file. */
export async function writeBlob(
  bytes: AsyncIterable<Uint8Array>,
  to: ImageWriter,
  through: readonly Transform[],
  mediaType: string,
  { scratch, signal }: WriteLayerOptions,
  check: (path: string) => Promise<void> = async () => {},
): Promise<WrittenLayer> {
  let directory: string | undefined;
  try {
    directory = await mkdtemp(join(scratch, '.anole-layer-'));
    const path = join(directory, 'layer');
    const inner = createHash('sha256');
    const outer = createHash('sha256');
    let size = 0;
    const counting = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        outer.update(chunk);
        size += chunk.length;
        done(null, chunk);
      },
    });
    async function* hashed(): AsyncGenerator<Uint8Array> {
      for await (const chunk of bytes) {
        inner.update(chunk);
        yield chunk.slice();
      }
    }
    const source = Readable.from(hashed(), { objectMode: false });
    const stages = [source, ...through, counting, createWriteStream(path)];
    await pipeline(stages, signal ? { signal } : {});
    await check(path);
    const digest = `sha256:${outer.digest('hex')}`;
    const layer = { mediaType, digest, size };
    const open = (start: number) => createReadStream(path, { start });
    await to.putBlob(layer, open, signal ? { signal } : {});
    return { layer, diffId: `sha256:${inner.digest('hex')}` };
  } catch (error) {
    signal?.throwIfAborted();
    throw hostError(error, 'write a layer');
  } finally {
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  }
}
