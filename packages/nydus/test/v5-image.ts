import { blake3, encodeName, viewOf } from '@anole/bytes';
import { encodeDevice, type MemoryTree, modeOfType, type TreeNode } from '@anole/vfs';
import { superFlags } from '../src/layout/algorithms.ts';
import { ChunkRecord, chunkFlags } from '../src/layout/chunk.ts';
import {
  V5_MAGIC,
  V5_SUPERBLOCK_SIZE,
  V5_VERSION,
  V5ExtendedBlob,
  V5Inode,
  V5Superblock,
  v5InodeFlags,
} from '../src/layout/v5.ts';
import { encoders, type Written } from './written.ts';

const CHUNK = 4096;
const BLOB = 'f'.repeat(64);

interface Entry {
  readonly node: TreeNode;
  readonly name: string;
  readonly parent: number;
  readonly number: number;
  /** Number of the first name of the same file. */
  readonly ino: number;
  childIndex: number;
  childCount: number;
}

/**
 * An image of RAFS v5, with chunks of 4096 bytes in LZ4. Nothing here writes that version but this: what
 * nydus-image wrote was read by hand.
 */
export async function v5Image(tree: MemoryTree): Promise<Written> {
  const entries = await numbered(tree);
  const blob: Uint8Array[] = [];
  const table = new Uint8Array(align(entries.length * 4));
  const blobTable = new Uint8Array(align(8 + BLOB.length));
  blobTable.set(encodeName(BLOB), 8);
  const extendedOffset = V5_SUPERBLOCK_SIZE + table.length + blobTable.length;
  const inodes: Uint8Array[] = [];
  /** Records of files, for their further names. */
  const known = new Map<number, readonly Uint8Array[]>();
  let end = extendedOffset + V5ExtendedBlob.size;
  let chunks = 0;
  let size = 0;
  for (const entry of entries) {
    viewOf(table).setUint32((entry.number - 1) * 4, end / 8, true);
    const records: Uint8Array[] = [];
    const isFile = entry.node.stat.type === 'file' && entry.number === entry.ino;
    for (let at = 0; isFile && at < entry.node.stat.size; at += CHUNK) {
      const bytes = new Uint8Array(await entry.node.read(at, CHUNK));
      const packed = encoders.compress.lz4_block!(bytes).slice();
      const compressed = packed.length < bytes.length;
      records.push(
        ChunkRecord.encode({
          digest: blake3(bytes),
          blobIndex: 0,
          flags: compressed ? chunkFlags.compressed : 0,
          compressedSize: compressed ? packed.length : bytes.length,
          uncompressedSize: bytes.length,
          compressedOffset: size,
          uncompressedOffset: chunks * CHUNK,
          fileOffset: at,
          index: chunks++,
          crc32: 0,
        }),
      );
      blob.push(compressed ? packed : bytes);
      size += blob.at(-1)!.length;
    }
    if (isFile) known.set(entry.ino, records);
    const inode = await encodeInode(entry, known.get(entry.ino) ?? []);
    inodes.push(inode);
    end += inode.length;
  }
  const head = new Uint8Array(V5_SUPERBLOCK_SIZE);
  V5Superblock.write(viewOf(head), 0, {
    magic: V5_MAGIC,
    version: V5_VERSION,
    size: V5_SUPERBLOCK_SIZE,
    blockSize: CHUNK,
    flags: superFlags.compressionLz4 | superFlags.blake3 | superFlags.explicitOwners,
    flagsHigh: 0,
    inodes: entries.length,
    inodeTableOffset: V5_SUPERBLOCK_SIZE,
    prefetchTableOffset: 0,
    blobTableOffset: V5_SUPERBLOCK_SIZE + table.length,
    inodeTableEntries: entries.length,
    prefetchTableEntries: 0,
    blobTableSize: 8 + BLOB.length,
    extendedBlobEntries: 1,
    extendedBlobOffset: extendedOffset,
  });
  const extended = V5ExtendedBlob.encode({
    chunkCount: chunks,
    features: 0,
    uncompressedSize: chunks * CHUNK,
    compressedSize: size,
  });
  return {
    bootstrap: join([head, table, blobTable, extended, ...inodes]),
    blobs: new Map([[BLOB, join(blob)]]),
  };
}

/** Names in the order of directories, so that children of one follow each other. */
async function numbered(tree: MemoryTree): Promise<Entry[]> {
  const root = { node: tree.root, name: '/', parent: 0, number: 1, ino: 1 };
  const entries: Entry[] = [{ ...root, childIndex: 0, childCount: 0 }];
  const firsts = new Map<number, number>();
  for (const entry of entries) {
    if (entry.node.stat.type !== 'directory') continue;
    const listed = await entry.node.list();
    entry.childIndex = entries.length + 1;
    entry.childCount = listed.length;
    for (const { name } of listed) {
      const node = (await entry.node.lookup(name))!;
      const number = entries.length + 1;
      const ino = firsts.get(node.stat.ino) ?? number;
      firsts.set(node.stat.ino, ino);
      entries.push({ node, name, parent: entry.ino, number, ino, childIndex: 0, childCount: 0 });
    }
  }
  return entries;
}

async function encodeInode(entry: Entry, records: readonly Uint8Array[]): Promise<Uint8Array> {
  const { node, parent, ino, childIndex } = entry;
  const { stat } = node;
  const name = encodeName(entry.name);
  const target = stat.type === 'symlink' ? encodeName(await node.readLink()) : new Uint8Array(0);
  const xattrs = await node.xattrs();
  const inode = V5Inode.encode({
    digest: new Uint8Array(32),
    parent,
    ino,
    uid: stat.uid,
    gid: stat.gid,
    projectId: 0,
    mode: modeOfType[stat.type] | stat.mode,
    size: stat.type === 'file' ? stat.size : target.length,
    blocks: 0n,
    flags:
      (stat.type === 'symlink' ? v5InodeFlags.symlink : 0) |
      (stat.nlink > 1 && stat.type !== 'directory' ? v5InodeFlags.hardlink : 0) |
      (xattrs.size > 0 ? v5InodeFlags.xattr : 0),
    flagsHigh: 0,
    nlink: stat.nlink,
    childIndex,
    childCount: stat.type === 'directory' ? entry.childCount : records.length,
    nameSize: name.length,
    targetSize: target.length,
    rdev: stat.rdev ? encodeDevice(stat.rdev) : 0,
    mtimeNanoseconds: stat.mtime.nanoseconds,
    mtime: stat.mtime.seconds,
  });
  const parts = [inode, padded(name), padded(target)];
  if (xattrs.size > 0) parts.push(encodeXattrs(xattrs));
  return join([...parts, ...records]);
}

function encodeXattrs(xattrs: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const pairs = [...xattrs].map(([name, value]) => {
    const pair = join([new Uint8Array(4), encodeName(name), new Uint8Array(1), value]);
    viewOf(pair).setUint32(0, pair.length - 4, true);
    return pair;
  });
  const bytes = join(pairs);
  const size = new Uint8Array(8);
  viewOf(size).setUint32(0, bytes.length, true);
  return join([size, padded(bytes)]);
}

function align(size: number): number {
  return Math.ceil(size / 8) * 8;
}

function padded(bytes: Uint8Array): Uint8Array {
  return join([bytes, new Uint8Array(align(bytes.length) - bytes.length)]);
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}
