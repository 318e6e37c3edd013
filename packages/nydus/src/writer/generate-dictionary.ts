import type { CallOptions } from '@anole/bytes';
import { MemoryTree } from '@anole/vfs';
import { type BlobRef, chunkKey, type StoredChunk } from './chunks.ts';
import { chunksOf } from './dictionary.ts';
import { bootstrapLike, type MergedRafs } from './merge.ts';
import { BlobRefs, checkLayers, type NamedImage } from './named-image.ts';
import { scan } from './scan.ts';

export interface GenerateOptions extends CallOptions {
  /** Of how many of the images a chunk must be. Default 2, of a single image 1. */
  readonly minImages?: number;
}

export interface GeneratedDictionary extends MergedRafs {
  readonly chunks: number;
  /** Bytes of the chunks, decoded. */
  readonly size: number;
}

/**
 * An image of the chunks that several images have in common: a dictionary for those that are made later.
 * Each chunk is referred to in the first image that has it; data are not read, and none are stored.
 *
 * The dictionary is an image as others are. It has a directory for each blob, in which a file holds chunks
 * in their order, up to one that is shorter than the others: only the last one of a file may be.
 *
 * @param images those first whose blobs will stay longest
 * @throws RafsError `RAFS_BAD_OPTION` where the images are not alike, `RAFS_CANNOT_STORE`
 */
export async function generateDictionary(
  images: readonly NamedImage[],
  { minImages = Math.min(2, images.length), ...call }: GenerateOptions = {},
): Promise<GeneratedDictionary> {
  const like = checkLayers(images);
  const common = await commonChunks(images, minImages, call);
  const tree = new MemoryTree({ mode: 0o755 });
  const files = new Map<string, readonly StoredChunk[]>();
  for (const [{ info }, chunks] of common) {
    for (const file of filesOf(chunks, like.chunkSize)) {
      const path = `${info.id}/${file[0]!.chunk.index}`;
      const size = sizeOf(file);
      tree.putFile(path, { size, read: noBytes }, { mode: 0o444 });
      files.set(path, file);
    }
  }
  const scanned = await scan(tree, { xattrs: false }, call);
  for (const inode of scanned.inodes) inode.chunks = files.get(inode.path) ?? [];
  const all = [...common.values()].flat();
  const made = bootstrapLike(like, scanned, [...common.keys()]);
  return { ...made, chunks: all.length, size: sizeOf(all) };
}

/** Nobody asks: what the files are made of is known. */
function noBytes(): Uint8Array {
  return new Uint8Array(0);
}

interface Counted {
  readonly chunk: StoredChunk;
  images: number;
  last: NamedImage;
}

/** Chunks that enough images have, by their blobs, in the order in which they lie. */
async function commonChunks(
  images: readonly NamedImage[],
  minImages: number,
  { signal, onProgress }: CallOptions,
): Promise<ReadonlyMap<BlobRef, StoredChunk[]>> {
  const blobs = new BlobRefs();
  const counts = new Map<string, Counted>();
  for (const [done, image] of images.entries()) {
    onProgress?.({ step: 'read images', done, total: images.length, unit: 'items' });
    for await (const chunk of chunksOf(image, blobs)) {
      signal?.throwIfAborted();
      const key = chunkKey(chunk.digest, chunk.chunk.size);
      const counted = counts.get(key);
      if (counted === undefined) counts.set(key, { chunk, images: 1, last: image });
      else if (counted.last !== image) {
        counted.images++;
        counted.last = image;
      }
    }
  }
  const common = new Map<BlobRef, StoredChunk[]>();
  for (const { chunk, images: count } of counts.values()) {
    if (count < minImages) continue;
    const chunks = common.get(chunk.blob) ?? [];
    common.set(chunk.blob, chunks);
    chunks.push(chunk);
  }
  for (const chunks of common.values()) chunks.sort((a, b) => a.chunk.offset - b.chunk.offset);
  return common;
}

/** Each ends with the first chunk that is not of full size. */
function* filesOf(chunks: readonly StoredChunk[], full: number): Generator<StoredChunk[]> {
  let file: StoredChunk[] = [];
  for (const chunk of chunks) {
    file.push(chunk);
    if (chunk.chunk.size === full) continue;
    yield file;
    file = [];
  }
  if (file.length > 0) yield file;
}

function sizeOf(chunks: readonly StoredChunk[]): number {
  return chunks.reduce((sum, { chunk }) => sum + chunk.size, 0);
}
