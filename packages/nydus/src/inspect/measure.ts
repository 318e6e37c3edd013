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

/**
 * Counts what images have, and what they share: a chunk that several files or images have counts once.
 *
 * @throws RafsError as reading the tables of blobs; no data are read
 */
export async function measureRafs(
  images: readonly RafsImage[],
  options: CallOptions = {},
): Promise<RafsUsage> {
  const counter = new Counter();
  const walking = options.signal ? { signal: options.signal } : {};
  for (const image of images) {
    for await (const { node, linkTo } of walk(image, walking)) {
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
  return counter.usage();
}

class Counter {
  files = 0;
  directories = 0;
  links = 0;
  others = 0;
  size = 0;
  #references = 0;
  #unique = 0;
  #uniqueSize = 0;
  #storedSize = 0;
  readonly #seen = new Set<string>();
  readonly #blobs = new Set<string>();

  async chunk(
    blob: RafsBlob,
    { index, size, compressedSize, part }: Parameters<RafsBlob['readChunk']>[0],
  ): Promise<void> {
    this.#references++;
    this.#blobs.add(blob.info.id);
    const digest = await blob.digest(index);
    const key = digest ? `${toHex(digest)} ${size}` : `${blob.info.id} ${index}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.#unique++;
    this.#uniqueSize += size;
    // What is compressed together counts as if it were not: its share is not known.
    this.#storedSize += part === undefined ? compressedSize : size;
  }

  usage(): RafsUsage {
    const { files, directories, links, others, size } = this;
    return {
      ...{ files, directories, links, others, size },
      references: this.#references,
      chunks: this.#unique,
      uniqueSize: this.#uniqueSize,
      storedSize: this.#storedSize,
      blobs: this.#blobs.size,
    };
  }
}
