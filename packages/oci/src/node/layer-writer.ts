import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip, createZstdCompress } from 'node:zlib';
import type { CallOptions } from '@anole/bytes';
import { hostError } from '@anole/host';
import type { ImageWriter } from '../content.ts';
import type { Digest } from '../digest.ts';
import type { Descriptor } from '../manifest.ts';
import { type Compression, mediaTypes } from '../media-types.ts';
import { readFileRange } from './read-range.ts';

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
    compression === 'none'
      ? undefined
      : compression === 'gzip'
        ? createGzip()
        : createZstdCompress();
  return writeBlob(tar, to, compressor, types[compression], options);
}

/** Writes bytes whose digest is known at the end only: through a file, which `check` may look at. */
export async function writeBlob(
  bytes: AsyncIterable<Uint8Array>,
  to: ImageWriter,
  compressor: Transform | undefined,
  mediaType: string,
  { scratch, signal }: WriteLayerOptions,
  check: (path: string) => Promise<void> = async () => {},
): Promise<WrittenLayer> {
  let directory: string | undefined;
  try {
    const workspace = to.workspace ?? scratch;
    await mkdir(workspace, { recursive: true });
    directory = await mkdtemp(join(workspace, '.anole-layer-'));
    const path = join(directory, 'layer');
    const written = compressor
      ? await writeCompressed(bytes, path, compressor, signal)
      : await writePlain(bytes, path, signal);
    await check(path);
    const { digest, size, diffId } = written;
    const layer = { mediaType, digest, size };
    if (to.adopt) await to.adopt(layer, path);
    else {
      const open = (start: number) => readFileRange(path, { start, ...(signal && { signal }) });
      await to.putBlob(layer, open, signal ? { signal } : {});
    }
    return { layer, diffId };
  } catch (error) {
    signal?.throwIfAborted();
    throw hostError(error, 'write a layer');
  } finally {
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  }
}

interface Written {
  readonly digest: Digest;
  readonly size: number;
  readonly diffId: Digest;
}

async function writePlain(
  bytes: AsyncIterable<Uint8Array>,
  path: string,
  signal: AbortSignal | undefined,
): Promise<Written> {
  const hash = createHash('sha256');
  let size = 0;
  const fd = openSync(path, 'wx', 0o644);
  try {
    // Synchronous: a chunk is valid until the next only, and copies would cost more than waiting.
    for await (const chunk of bytes) {
      signal?.throwIfAborted();
      hash.update(chunk);
      size += chunk.length;
      for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
    }
  } finally {
    closeSync(fd);
  }
  const digest = `sha256:${hash.digest('hex')}`;
  return { digest, size, diffId: digest };
}

async function writeCompressed(
  bytes: AsyncIterable<Uint8Array>,
  path: string,
  compressor: Transform,
  signal: AbortSignal | undefined,
): Promise<Written> {
  const inner = createHash('sha256');
  async function* hashed(): AsyncGenerator<Uint8Array> {
    for await (const chunk of bytes) {
      inner.update(chunk);
      // The compressor keeps it while the next one is made.
      yield chunk.slice();
    }
  }
  const feeding = pipeline(
    Readable.from(hashed(), { objectMode: false }),
    compressor,
    signal ? { signal } : {},
  );
  // What it raises, the reading of the compressor raises too.
  feeding.catch(() => {});
  const { digest, size } = await writePlain(compressor, path, signal);
  await feeding;
  return { digest, size, diffId: `sha256:${inner.digest('hex')}` };
}
