import { decodeName, type Flow, type Source, viewOf, wait } from '@anole/bytes';
import { decodeDevice, type FileType, type Stat, typeOfMode } from '@anole/vfs';
import { damaged, type RafsError } from '../../errors.ts';
import { CHUNK_RECORD_SIZE } from '../../layout/chunk.ts';
import {
  V5_ALIGN,
  V5_INODE_SIZE,
  V5_SUPERBLOCK_SIZE,
  V5Inode,
  v5InodeFlags,
} from '../../layout/v5.ts';

/** An inode as its image has it, checked as far as it can be on its own. */
export interface V5InodeInfo {
  /** In the inode table. */
  readonly number: number;
  readonly name: string;
  readonly target: string;
  readonly stat: Stat;
  readonly parent: number;
  readonly childIndex: number;
  readonly childCount: number;
  /** Byte of the bootstrap; 0 where it has no attributes. */
  readonly xattrOffset: number;
  /** Byte of the bootstrap; 0 where it has no chunks. */
  readonly chunkOffset: number;
}

const TARGET_MAX = 4096;
/** Attributes of one inode. */
const XATTRS_MAX = 16 * 1024 * 1024;

/** The inodes of a bootstrap, read one by one. */
export class V5Inodes {
  readonly count: number;
  readonly #source: Source;
  readonly #table: number;

  /** @throws RafsError `RAFS_BAD_BOOTSTRAP` */
  constructor(source: Source, offset: number, count: number) {
    if (offset + count * 4 > source.size) {
      throw damaged(
        'RAFS_BAD_BOOTSTRAP',
        `Cannot open the image: it has no place for ${count} inodes`,
      );
    }
    this.#source = source;
    this.#table = offset;
    this.count = count;
  }

  /** @throws RafsError `RAFS_BAD_INODE` */
  *read(number: number): Flow<V5InodeInfo> {
    if (!(number >= 1 && number <= this.count)) throw bad(number, 'there is none of that number');
    const place = yield* this.#bytes(this.#table + (number - 1) * 4, 4, number);
    const offset = place.getUint32(0, true) * V5_ALIGN;
    if (offset < V5_SUPERBLOCK_SIZE) throw bad(number, `it lies at byte ${offset}`);
    const inode = V5Inode.read(yield* this.#bytes(offset, V5_INODE_SIZE, number));
    const type = typeOfMode(inode.mode);
    if (type === undefined) throw bad(number, `its mode is 0o${inode.mode.toString(8)}`);
    if (inode.targetSize > TARGET_MAX) throw bad(number, 'its target is too long');
    let end = offset + V5_INODE_SIZE;
    const name = yield* this.#text(end, inode.nameSize, number);
    end += aligned(inode.nameSize);
    const target = yield* this.#text(end, inode.targetSize, number);
    end += aligned(inode.targetSize);
    const xattrOffset = (inode.flags & v5InodeFlags.xattr) === 0 ? 0 : end;
    if (xattrOffset > 0) end += 8 + aligned(yield* this.#xattrSize(end, number));
    const hasChunks = type === 'file' && inode.childCount > 0;
    if (hasChunks && end + inode.childCount * CHUNK_RECORD_SIZE > this.#source.size) {
      throw bad(number, `${inode.childCount} chunks do not fit into the bootstrap`);
    }
    return {
      number,
      name,
      target,
      stat: statOf(inode, type),
      parent: inode.parent,
      childIndex: inode.childIndex,
      childCount: inode.childCount,
      xattrOffset,
      chunkOffset: hasChunks ? end : 0,
    };
  }

  /** The records of a file's chunks. */
  *chunks({ chunkOffset, childCount, number }: V5InodeInfo): Flow<DataView> {
    if (chunkOffset === 0) return new DataView(new ArrayBuffer(0));
    return yield* this.#bytes(chunkOffset, childCount * CHUNK_RECORD_SIZE, number);
  }

  /** Each pair of name, NUL and value has four bytes of its size before it. */
  *xattrs({ xattrOffset, number }: V5InodeInfo): Flow<ReadonlyMap<string, Uint8Array>> {
    const found = new Map<string, Uint8Array>();
    if (xattrOffset === 0) return found;
    const size = yield* this.#xattrSize(xattrOffset, number);
    const view = yield* this.#bytes(xattrOffset + 8, size, number);
    const bytes = new Uint8Array(view.buffer, view.byteOffset, size);
    for (let at = 0; at + 4 <= size; ) {
      const length = view.getUint32(at, true);
      const pair = bytes.subarray(at + 4, at + 4 + length);
      const end = pair.indexOf(0);
      if (pair.length !== length || end < 1) throw bad(number, 'its attributes do not add up');
      found.set(decodeName(pair.subarray(0, end)), pair.slice(end + 1));
      at += 4 + length;
    }
    return found;
  }

  *#xattrSize(offset: number, number: number): Flow<number> {
    const view = yield* this.#bytes(offset, 8, number);
    const size = view.getUint32(0, true);
    if (view.getUint32(4, true) === 0 && size <= XATTRS_MAX) return size;
    throw bad(number, 'its attributes are too large');
  }

  *#text(offset: number, size: number, number: number): Flow<string> {
    if (size === 0) return '';
    const { buffer, byteOffset } = yield* this.#bytes(offset, size, number);
    const bytes = new Uint8Array(buffer, byteOffset, size);
    const end = bytes.indexOf(0);
    return decodeName(end < 0 ? bytes : bytes.subarray(0, end));
  }

  *#bytes(offset: number, length: number, number: number): Flow<DataView> {
    if (offset + length > this.#source.size) throw bad(number, 'it ends outside the bootstrap');
    return viewOf(new Uint8Array(yield* wait(this.#source.read(offset, length))));
  }
}

function statOf(inode: ReturnType<typeof V5Inode.read>, type: FileType): Stat {
  const isDevice = type === 'character' || type === 'block';
  return {
    ino: Math.max(1, inode.ino),
    type,
    mode: inode.mode & 0o7777,
    uid: inode.uid,
    gid: inode.gid,
    size: type === 'file' ? inode.size : type === 'symlink' ? inode.targetSize : 0,
    nlink: inode.nlink,
    mtime: {
      seconds: inode.mtime,
      nanoseconds: Math.min(inode.mtimeNanoseconds, 999_999_999),
    },
    ...(isDevice && { rdev: decodeDevice(inode.rdev) }),
  };
}

export function aligned(size: number): number {
  return Math.ceil(size / V5_ALIGN) * V5_ALIGN;
}

/** @throws RafsError `RAFS_BAD_INODE` */
export function bad(number: number, reason: string): RafsError {
  return damaged('RAFS_BAD_INODE', `Cannot read inode ${number}: ${reason}`, { inode: number });
}
