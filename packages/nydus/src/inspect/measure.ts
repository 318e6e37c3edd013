import type { CallOptions } from '@anole/bytes';
import { walk } from '@anole/vfs';
import { toHex } from '../hex.ts';
import type { RafsBlob } from '../reader/blob.ts';
import { isRafsNode } from '../reader/file-chunks.ts';
import type { RafsImage } from '../reader/image.ts';

/** What an image, or several together, are made of. Sizes are bytes. */
export interface RafsUsage {
  readonly files: number;
  readonly directories: number;
  readonly links: number;
  readonly others: number;
  /** Of files as they are seen: hard links once. */
  readonly size: number;
  /** References of files to chunks. */
  readonly references: number;
  /** Chunks that differ. */
  readonly chunks: number;
  /** Those decoded, and what they take in blobs. */
  readonly uniqueSize: number;
  readonly storedSize: number;
  readonly blobs: number;
}

/** Chunks that differ, decoded and as they are stored. */
export type ChunkUsage = Pick<RafsUsage, 'chunks' | 'uniqueSize' | 'storedSize'>;

/** An image beside others. */
export interface RafsShare extends RafsUsage {
  /** What the others have, too. */
  readonly shared: ChunkUsage;
  /** What the image alone has. */
  readonly own: ChunkUsage;
}

/**
 * Counts what images have, and what they share: a chunk that several files or images have counts once.
 *
 * @throws RafsError as reading the tables of blobs; no data are read
 */
export async function measureRafs(
  images: readonly RafsImage[],
  options: CallOptions = {},
): Promise<RafsUsage> {
  return (await count(images, options)).usage();
}

/**
 * Counts what an image has, and how much of it others have: what it would not store, were they its
 * dictionary.
 *
 * @throws RafsError as `measureRafs`
 */
export async function measureShare(
  target: RafsImage,
  others: readonly RafsImage[],
  options: CallOptions = {},
): Promise<RafsShare> {
  const known = await count(others, options);
  const counted = await count([target], options);
  const shared = counted.sum((key) => known.has(key));
  const own = counted.sum((key) => !known.has(key));
  return { ...counted.usage(), shared, own };
}

async function count(images: readonly RafsImage[], { signal }: CallOptions): Promise<Counter> {
  const counter = new Counter();
  for (const image of images) {
    for await (const { node, linkTo } of walk(image, signal ? { signal } : {})) {
      const { type, size } = node.stat;
      if (type === 'directory') counter.directories++;
      else if (type === 'symlink') counter.links++;
      else if (type !== 'file') counter.others++;
      else if (linkTo === undefined && isRafsNode(node)) {
        counter.files++;
        counter.size += size;
        for (const { blob, chunk } of await node.chunks()) await counter.chunk(blob, chunk);
      }
    }
  }
  return counter;
}

class Counter {
  files = 0;
  directories = 0;
  links = 0;
  others = 0;
  size = 0;
  #references = 0;
  readonly #chunks = new Map<string, { readonly size: number; readonly stored: number }>();
  readonly #blobs = new Set<string>();

  async chunk(
    blob: RafsBlob,
    { index, size, compressedSize, part }: Parameters<RafsBlob['readChunk']>[0],
  ): Promise<void> {
    this.#references++;
    this.#blobs.add(blob.info.id);
    const digest = await blob.digest(index);
    const key = digest ? `${toHex(digest)} ${size}` : `${blob.info.id} ${index}`;
    // What is compressed together counts as if it were not: its share is not known.
    const stored = part === undefined ? compressedSize : size;
    if (!this.#chunks.has(key)) this.#chunks.set(key, { size, stored });
  }

  has(key: string): boolean {
    return this.#chunks.has(key);
  }

  sum(isCounted: (key: string) => boolean): ChunkUsage {
    let [chunks, uniqueSize, storedSize] = [0, 0, 0];
    for (const [key, { size, stored }] of this.#chunks) {
      if (!isCounted(key)) continue;
      chunks++;
      uniqueSize += size;
      storedSize += stored;
    }
    return { chunks, uniqueSize, storedSize };
  }

  usage(): RafsUsage {
    const { files, directories, links, others, size } = this;
    return {
      ...{ files, directories, links, others, size },
      references: this.#references,
      ...this.sum(() => true),
      blobs: this.#blobs.size,
    };
  }
}
