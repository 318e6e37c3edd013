import { type Awaitable, chain, type Flow, flow, wait } from '@anole/bytes';
import type { ErofsNode } from '@anole/erofs';
import type { DirectoryEntry, Extent, Stat } from '@anole/vfs';
import { damaged } from '../errors.ts';
import type { RafsBlob } from './blob.ts';
import type { FileChunk, RafsNode } from './file-chunks.ts';

/** An inode of EROFS, with the chunks of its file. */
export class V6Node implements RafsNode {
  readonly stat: Stat;
  readonly #inode: ErofsNode;
  readonly #blobs: readonly RafsBlob[];

  constructor(inode: ErofsNode, blobs: readonly RafsBlob[]) {
    this.stat = inode.stat;
    this.#inode = inode;
    this.#blobs = blobs;
  }

  lookup(name: string): Awaitable<V6Node | undefined> {
    return chain(this.#inode.lookup(name), (found) => found && new V6Node(found, this.#blobs));
  }

  list(): Awaitable<readonly DirectoryEntry[]> {
    return this.#inode.list();
  }

  readLink(): Awaitable<string> {
    return this.#inode.readLink();
  }

  read(offset: number, length: number): Awaitable<Uint8Array> {
    return this.#inode.read(offset, length);
  }

  xattrs(): Awaitable<ReadonlyMap<string, Uint8Array>> {
    return this.#inode.xattrs();
  }

  extents(): Awaitable<readonly Extent[]> {
    return this.#inode.extents();
  }

  chunks(): Awaitable<readonly FileChunk[]> {
    return flow(() => this.#chunks());
  }

  *#chunks(): Flow<readonly FileChunk[]> {
    const { type, size } = this.stat;
    const chunks: FileChunk[] = [];
    for (let offset = 0; type === 'file' && offset < size; ) {
      const { device, start, kind, length } = yield* wait(this.#inode.mapping(offset));
      if (kind === 'hole') {
        offset += length;
        continue;
      }
      const blob = this.#blobs[device - 1];
      const chunk = blob && (yield* wait(blob.chunkAt(start)));
      if (chunk === undefined || chunk.offset !== start) {
        throw damaged(
          'RAFS_BAD_INODE',
          `Cannot read inode ${this.#inode.nid}: no chunk begins there`,
          {
            inode: this.#inode.nid,
            offset,
          },
        );
      }
      chunks.push({ offset, blob: blob!, chunk });
      offset += chunk.size;
    }
    return chunks;
  }
}
