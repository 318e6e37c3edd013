import type { CallOptions } from '@anole/bytes';
import type { TreeNode } from '@anole/vfs';
import type { RafsBlob } from '../reader/blob.ts';
import { type FileChunk, isRafsNode } from '../reader/file-chunks.ts';
import { type BlobRef, badImages, type StoredChunk } from './chunks.ts';
import { ChunkDictionary } from './dictionary.ts';
import type { Inode } from './inode.ts';
import type { NamedImage } from './named-image.ts';

/** Files of images whose data stay where they are: each blob and each chunk once. */
export class References {
  /** Blobs in the order in which files came to need them. */
  readonly used = new Set<BlobRef>();
  readonly #layers: readonly NamedImage[];
  readonly #dictionary: ChunkDictionary;
  readonly #blobs = new Map<RafsBlob, BlobRef>();
  readonly #chunks = new Map<BlobRef, Map<number, StoredChunk>>();

  /** @param dictionary whose chunks are taken instead of those of the layers */
  constructor(layers: readonly NamedImage[], dictionary = new ChunkDictionary()) {
    this.#layers = layers;
    this.#dictionary = dictionary;
  }

  /**
   * The chunks of a file; undefined where it is of none of the images.
   *
   * @throws RafsError as the file's chunks; `RAFS_BAD_OPTION` where the chunks cannot be referred to
   */
  async chunksOf(
    { node, stat, path }: Inode,
    { signal }: CallOptions,
  ): Promise<readonly StoredChunk[] | undefined> {
    signal?.throwIfAborted();
    if (stat.type !== 'file' || stat.size === 0) return [];
    const origin = originOf(node);
    if (!isRafsNode(origin)) return undefined;
    const pieces = await origin.chunks();
    if (!pieces.every(({ blob }) => this.#refOf(blob) !== undefined)) return undefined;
    checkWhole(pieces, stat.size, path);
    const chunks: StoredChunk[] = [];
    for (const piece of pieces) chunks.push(await this.#stored(piece, path));
    for (const { blob } of chunks) this.used.add(blob);
    return chunks;
  }

  async #stored({ blob, chunk }: FileChunk, path: string): Promise<StoredChunk> {
    const ref = this.#refOf(blob)!;
    const chunks = this.#chunks.get(ref)!;
    const known = chunks.get(chunk.index);
    if (known !== undefined) return known;
    const digest = await blob.digest(chunk.index);
    if (digest === undefined) throw badImages(`a chunk of /${path} has no digest`);
    const there = this.#dictionary.find(digest, chunk.size);
    const stored = there ?? { blob: ref, chunk, digest: new Uint8Array(digest) };
    chunks.set(chunk.index, stored);
    return stored;
  }

  /** Undefined for blobs of other images. */
  #refOf(blob: RafsBlob): BlobRef | undefined {
    const known = this.#blobs.get(blob);
    if (known !== undefined) return known;
    const layer = this.#layers.find(({ image }) => image.blobs.includes(blob));
    if (layer === undefined) return undefined;
    const ref = this.#dictionary.blobs.of(layer, blob.info);
    this.#blobs.set(blob, ref);
    if (!this.#chunks.has(ref)) this.#chunks.set(ref, new Map());
    return ref;
  }
}

/** Chunks of a file are found by their numbers: none may be missing between them. */
function checkWhole(pieces: readonly FileChunk[], size: number, path: string): void {
  let end = 0;
  for (const { offset, chunk } of pieces) {
    if (offset !== end) break;
    end += chunk.size;
  }
  if (end !== size) throw badImages(`/${path} has holes`);
}

function originOf(node: TreeNode): TreeNode {
  return node.origin === undefined ? node : originOf(node.origin);
}
