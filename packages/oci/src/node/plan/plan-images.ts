import type { CallOptions } from '@anole/bytes';
import { readTar } from '@anole/vfs';
import type { Image, ImageReader } from '../../content.ts';
import type { Descriptor } from '../../manifest.ts';
import { layerCompression } from '../../media-types.ts';
import type { Chunking } from '../chunker.ts';
import { decompress } from '../decompress.ts';
import { DEFAULT_MAX_LAYER } from '../layers.ts';
import { type Compressor, compressors, type Estimate } from './sample.ts';
import { Tally } from './tally.ts';

export interface PlanOptions extends CallOptions {
  /** Default {@link defaultChunkings}. */
  readonly chunkings?: readonly Chunking[];
  /** Bytes on which compression is tried, for each way of chunking. Default 32 MiB. */
  readonly sampled?: number;
}

/** Those of RAFS and EROFS, and for comparison chunks whose content says where they end. */
export const defaultChunkings: readonly Chunking[] = [
  { kind: 'fixed', size: 64 * 1024 },
  { kind: 'fixed', size: 256 * 1024 },
  { kind: 'fixed', size: 1024 * 1024 },
  { kind: 'content', size: 16 * 1024 },
  { kind: 'content', size: 64 * 1024 },
];

/** One way to store a set of images. */
export interface Plan {
  readonly chunking: Chunking;
  /** Whether equal chunks are stored once in all layers (a dictionary), or once in each. */
  readonly shared: boolean;
  readonly compressor: Compressor;
  readonly chunks: number;
  /** Bytes of chunks and of what refers to them. */
  readonly stored: Estimate;
  /** Share of what the layers take now that is saved; negative where more is needed. */
  readonly saved: number;
  /** Share of the chunks whose compression was tried. */
  readonly sampled: number;
}

export interface PlanReport {
  readonly images: number;
  /** Layers, each counted once, and their bytes as they are now and as files. */
  readonly layers: number;
  readonly now: number;
  readonly files: number;
  readonly plans: readonly Plan[];
  /** The plan that takes least, of those that can be made: chunks of fixed size. */
  readonly cheapest: Plan | undefined;
}

/** Bytes that refer to a chunk: its place in the file, in the table of chunks and in the blob (RAFS v6). */
const REFERENCE = 8 + 80 + 16;
const DEFAULT_SAMPLED = 32 * 1024 * 1024;

/**
 * Says what a set of images would take if it was stored in chunks, of which equal ones are stored once:
 * before anything is written or sent. Each distinct layer is read once. Sizes after compression are
 * estimated by a sample where there is more than `sampled` to try.
 *
 * @throws OciError, TarError
 */
export async function planImages(
  images: readonly Pick<Image, 'reader' | 'manifest'>[],
  options: PlanOptions = {},
): Promise<PlanReport> {
  const { chunkings = defaultChunkings, sampled = DEFAULT_SAMPLED } = options;
  const tallies = chunkings.map((chunking) => new Tally(chunking, sampled));
  const layers = distinctLayers(images);
  const now = layers.reduce((sum, { layer }) => sum + layer.size, 0);
  let done = 0;
  let files = 0;
  for (const { reader, layer } of layers) {
    for (const tally of tallies) tally.nextLayer();
    const onBytes = (bytes: number) => {
      done += bytes;
      options.onProgress?.({ step: 'read layers', done, total: now, unit: 'bytes' });
    };
    files += await countLayer(reader, layer, tallies, options.signal, onBytes);
  }
  const plans = tallies.flatMap((tally) => plansOf(tally, now));
  const makeable = plans.filter(({ chunking }) => chunking.kind === 'fixed');
  const cheapest = makeable.toSorted((a, b) => a.stored.bytes - b.stored.bytes)[0];
  return { images: images.length, layers: layers.length, now, files, plans, cheapest };
}

interface Layer {
  readonly reader: ImageReader;
  readonly layer: Descriptor;
}

function distinctLayers(images: readonly Pick<Image, 'reader' | 'manifest'>[]): readonly Layer[] {
  const found = new Map<string, Layer>();
  for (const { reader, manifest } of images) {
    for (const layer of manifest.layers) {
      if (layerCompression(layer.mediaType) !== undefined)
        found.set(layer.digest, { reader, layer });
    }
  }
  return [...found.values()];
}

/** Counts the chunks of a layer's files; gives their bytes. */
async function countLayer(
  reader: ImageReader,
  layer: Descriptor,
  tallies: readonly Tally[],
  signal: AbortSignal | undefined,
  onBytes: (bytes: number) => void,
): Promise<number> {
  async function* stored(): AsyncGenerator<Uint8Array> {
    for await (const chunk of reader.blob(layer, signal ? { signal } : {})) {
      onBytes(chunk.length);
      yield chunk;
    }
  }
  const compression = layerCompression(layer.mediaType)!;
  let files = 0;
  for await (const entry of readTar(decompress(stored(), compression, DEFAULT_MAX_LAYER))) {
    if (entry.type !== 'file') continue;
    for await (const piece of entry.stored()) {
      files += piece.length;
      for (const tally of tallies) tally.add(piece);
    }
    for (const tally of tallies) tally.endFile();
  }
  return files;
}

function plansOf({ chunking, alone, shared, sample }: Tally, now: number): Plan[] {
  return [false, true].flatMap((isShared) =>
    compressors.map((compressor) => {
      const { chunks, bytes } = isShared ? shared : alone;
      // What refers to chunks is there for every layer that has them.
      const references = alone.chunks * (REFERENCE - 16) + chunks * 16;
      const data = sample.estimate(bytes, compressor, !isShared);
      const stored = { bytes: data.bytes + references, error: data.error };
      const saved = now === 0 ? 0 : 1 - stored.bytes / now;
      return {
        chunking,
        shared: isShared,
        compressor,
        chunks,
        stored,
        saved,
        sampled: sample.share,
      };
    }),
  );
}
