import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import {
  type CallOptions,
  DEFAULT_SPAN,
  type GzipIndex,
  GzipIndexer,
  type Hash,
} from '@anole/bytes';
import { memberOf, readTar, type TarMember } from '@anole/vfs';
import type { ImageReader } from '../content.ts';
import { OciError } from '../errors.ts';
import type { LayerIndex } from '../layer-index.ts';
import type { Descriptor } from '../manifest.ts';
import { layerCompressionOf } from '../media-types.ts';
import { ZstdIndexer } from './index-zstd.ts';

export interface IndexLayerOptions extends CallOptions {
  /** Decompressed bytes of a span, at least; of zstd each frame is one. Default 4 MiB. */
  readonly span?: number;
  /** Gives who takes the bytes of a layer, too, as they stream by; what it raises ends the reading. */
  readonly watch?: (layer: Descriptor) => ((chunk: Uint8Array) => void) | undefined;
}

const newSha256 = (): Hash => createHash('sha256');

/**
 * Makes the index of a layer while it streams by once, and verifies its digest. Of zstd the frames are read alone.
 *
 * @throws OciError `OCI_WRONG_CONTENT`, `OCI_UNSUPPORTED` (a long zstd frame), `OCI_BAD_LAYER`; AnoleError for a
 *   damaged layer
 */
export async function indexLayer(
  reader: Pick<ImageReader, 'name' | 'blob'>,
  layer: Descriptor,
  { span = DEFAULT_SPAN, signal, onProgress, watch }: IndexLayerOptions = {},
): Promise<LayerIndex> {
  const compression = layerCompressionOf(layer.mediaType);
  const hash = createHash('sha256');
  const watcher = watch?.(layer);
  let done = 0;
  async function* stored(): AsyncGenerator<Uint8Array> {
    for await (const chunk of reader.blob(layer, signal ? { signal } : {})) {
      hash.update(chunk);
      done += chunk.length;
      watcher?.(chunk);
      onProgress?.({ step: 'index', done, total: layer.size, unit: 'bytes' });
      yield chunk;
    }
    const met = `sha256:${hash.digest('hex')}`;
    if (done === layer.size && met === layer.digest) return;
    throw new OciError(
      'OCI_WRONG_CONTENT',
      `Cannot accept ${layer.digest} of ${reader.name}: it has ${done} bytes with the digest ${met}`,
    );
  }
  if (compression === 'gzip') return indexGzip(stored(), span);
  return compression === 'zstd' ? indexZstd(stored(), layer.size) : indexPlain(stored(), span);
}

async function indexZstd(
  stored: AsyncIterable<Uint8Array>,
  compressedSize: number,
): Promise<LayerIndex> {
  const indexer = new ZstdIndexer();
  async function* archive(): AsyncGenerator<Uint8Array> {
    for await (const chunk of stored) yield* indexer.decode(chunk);
  }
  const members = await membersOf(archive());
  const parts = indexer.finish();
  return { members, compressedSize, size: indexer.size, parts };
}

async function indexGzip(stored: AsyncIterable<Uint8Array>, span: number): Promise<LayerIndex> {
  const indexer = new GzipIndexer({ span, checksum: crc32, sha256: newSha256 });
  async function* archive(): AsyncGenerator<Uint8Array> {
    for await (const chunk of stored) yield* indexer.decode(chunk);
  }
  const members = await membersOf(archive());
  const gzip: GzipIndex = indexer.finish();
  return { members, compressedSize: gzip.compressedSize, size: gzip.size, gzip };
}

async function indexPlain(stored: AsyncIterable<Uint8Array>, span: number): Promise<LayerIndex> {
  const digests: string[] = [];
  let size = 0;
  let hash = newSha256();
  async function* archive(): AsyncGenerator<Uint8Array> {
    for await (const chunk of stored) {
      for (let at = 0; at < chunk.length; ) {
        const count = Math.min(span - (size % span), chunk.length - at);
        hash.update(chunk.subarray(at, at + count));
        at += count;
        size += count;
        if (size % span !== 0) continue;
        digests.push(hash.digest('hex'));
        hash = newSha256();
      }
      yield chunk;
    }
    if (size % span !== 0) digests.push(hash.digest('hex'));
  }
  const members = await membersOf(archive());
  return { members, compressedSize: size, size, plain: { span, digests } };
}

async function membersOf(archive: AsyncIterable<Uint8Array>): Promise<readonly TarMember[]> {
  const members: TarMember[] = [];
  for await (const entry of readTar(archive, { lent: true })) members.push(memberOf(entry));
  return members;
}
