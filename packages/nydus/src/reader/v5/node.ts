import { type Awaitable, type Flow, flow, wait } from '@anole/bytes';
import { type DirectoryEntry, type Extent, type FileType, type Stat, VfsError } from '@anole/vfs';
import { CHUNK_RECORD_SIZE, ChunkRecord } from '../../layout/chunk.ts';
import type { RafsBlob } from '../blob.ts';
import { chunkOf } from '../chunk-records.ts';
import type { FileChunk, RafsNode } from '../file-chunks.ts';
import { bad, type V5InodeInfo, type V5Inodes } from './inodes.ts';

/** One inode of an image of RAFS v5. */
export class V5Node implements RafsNode {
  readonly stat: Stat;
  readonly #inode: V5InodeInfo;
  readonly #inodes: V5Inodes;
  readonly #blobs: readonly RafsBlob[];
  #children: ReadonlyMap<string, V5InodeInfo> | undefined;

  constructor(inode: V5InodeInfo, inodes: V5Inodes, blobs: readonly RafsBlob[]) {
    this.stat = inode.stat;
    this.#inode = inode;
    this.#inodes = inodes;
    this.#blobs = blobs;
  }

  lookup(name: string): Awaitable<V5Node | undefined> {
    return flow(() => this.#lookup(name));
  }

  *#lookup(name: string): Flow<V5Node | undefined> {
    const child = (yield* this.#readChildren()).get(name);
    return child && new V5Node(child, this.#inodes, this.#blobs);
  }

  list(): Awaitable<readonly DirectoryEntry[]> {
    return flow(() => this.#list());
  }

  *#list(): Flow<readonly DirectoryEntry[]> {
    const children = yield* this.#readChildren();
    return [...children].map(([name, { stat }]) => ({ name, type: stat.type, ino: stat.ino }));
  }

  /** Children come after their parent in the inode table, so a walk comes to an end. */
  *#readChildren(): Flow<ReadonlyMap<string, V5InodeInfo>> {
    this.#check('directory', 'VFS_NOT_DIRECTORY');
    if (this.#children !== undefined) return this.#children;
    const { number, childIndex, childCount } = this.#inode;
    const children = new Map<string, V5InodeInfo>();
    if (
      childCount > 0 &&
      (childIndex <= number || childIndex + childCount - 1 > this.#inodes.count)
    ) {
      throw bad(number, `its children are ${childCount} from ${childIndex} on`);
    }
    for (let index = childIndex; index < childIndex + childCount; index++) {
      const child = yield* this.#inodes.read(index);
      const { name } = child;
      const isName = name !== '' && name !== '.' && name !== '..' && !name.includes('/');
      if (!isName || children.has(name)) {
        throw bad(index, `its name is ${JSON.stringify(name.slice(0, 100))}`);
      }
      if (child.stat.type === 'directory' && child.parent !== this.stat.ino) {
        throw bad(index, `it is a directory of inode ${child.parent}`);
      }
      children.set(name, child);
    }
    this.#children = children;
    return children;
  }

  readLink(): string {
    this.#check('symlink', 'VFS_NOT_SYMLINK');
    return this.#inode.target;
  }

  read(offset: number, length: number): Awaitable<Uint8Array> {
    return flow(() => this.#read(offset, length));
  }

  *#read(offset: number, length: number): Flow<Uint8Array> {
    this.#check('file', 'VFS_NOT_FILE');
    const end = Math.min(offset + length, this.stat.size);
    if (offset >= end) return new Uint8Array(0);
    const out = new Uint8Array(end - offset);
    const records = yield* this.#inodes.chunks(this.#inode);
    for (let at = firstAfter(records, offset); at < records.byteLength; at += CHUNK_RECORD_SIZE) {
      const record = ChunkRecord.read(records, at);
      if (record.fileOffset >= end) break;
      const blob = this.#blob(record.blobIndex);
      const bytes = yield* wait(blob.readChunk(chunkOf(record), record.digest));
      const from = Math.max(0, offset - record.fileOffset);
      const to = Math.max(0, record.fileOffset - offset);
      out.set(bytes.subarray(from, from + out.length - to), to);
    }
    return out;
  }

  extents(): Awaitable<readonly Extent[]> {
    return flow(() => this.#extents());
  }

  *#extents(): Flow<readonly Extent[]> {
    this.#check('file', 'VFS_NOT_FILE');
    const records = yield* this.#inodes.chunks(this.#inode);
    const extents: { offset: number; length: number }[] = [];
    for (let at = 0; at < records.byteLength; at += CHUNK_RECORD_SIZE) {
      const { fileOffset: offset, uncompressedSize } = ChunkRecord.read(records, at);
      const length = Math.min(uncompressedSize, this.stat.size - offset);
      const last = extents.at(-1);
      const end = last ? last.offset + last.length : 0;
      if (length <= 0 || offset < end) throw bad(this.#inode.number, 'its chunks do not add up');
      if (last && end === offset) last.length += length;
      else extents.push({ offset, length });
    }
    return extents;
  }

  chunks(): Awaitable<readonly FileChunk[]> {
    return flow(() => this.#chunks());
  }

  *#chunks(): Flow<readonly FileChunk[]> {
    const records = yield* this.#inodes.chunks(this.#inode);
    const chunks: FileChunk[] = [];
    for (let at = 0; at < records.byteLength; at += CHUNK_RECORD_SIZE) {
      const record = ChunkRecord.read(records, at);
      const blob = this.#blob(record.blobIndex);
      chunks.push({ offset: record.fileOffset, blob, chunk: chunkOf(record) });
    }
    return chunks;
  }

  #blob(index: number): RafsBlob {
    const blob = this.#blobs[index];
    if (blob !== undefined) return blob;
    throw bad(this.#inode.number, `it uses blob ${index}, which there is not`);
  }

  xattrs(): Awaitable<ReadonlyMap<string, Uint8Array>> {
    return flow(() => this.#inodes.xattrs(this.#inode));
  }

  #check(type: FileType, code: VfsError['code']): void {
    if (this.stat.type === type) return;
    throw new VfsError(
      code,
      `Cannot use inode ${this.#inode.number} as a ${type}: it is a ${this.stat.type}`,
    );
  }
}

/** Byte of the first record whose chunk ends behind an offset of the file; chunks are in its order. */
function firstAfter(records: DataView, offset: number): number {
  let [low, high] = [0, records.byteLength / CHUNK_RECORD_SIZE];
  while (low < high) {
    const middle = (low + high) >> 1;
    const record = ChunkRecord.read(records, middle * CHUNK_RECORD_SIZE);
    if (record.fileOffset + record.uncompressedSize > offset) high = middle;
    else low = middle + 1;
  }
  return low * CHUNK_RECORD_SIZE;
}
