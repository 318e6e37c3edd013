import { chunkFiles } from './chunked/chunk-files.ts';
import type { PlannedDevice } from './chunked/devices.ts';
import { externalChunks } from './chunked/external.ts';
import { compressFiles } from './compress/compress-files.ts';
import { memorySpool, type Spool } from './compress/spool.ts';
import { prefixesPlace, storedStart } from './front.ts';
import type { Inode } from './inode.ts';
import { encodeLongPrefixes } from './long-prefixes.ts';
import type { Settings, WriteOptions } from './options.ts';
import { rangesOf } from './order.ts';
import type { StoredData } from './stored.ts';

/** The device that a blob is. */
const BLOB = 1;

/**
 * Writes what is written before the rest can be laid out: compressed files, then chunks. Undefined where
 * the options ask for neither.
 *
 * @param measure is told of the packed inode before that is compressed
 */
export async function storeData(
  inodes: readonly Inode[],
  settings: Settings,
  measure: (packed: Inode) => void,
  options: WriteOptions,
): Promise<StoredData | undefined> {
  const { compression, chunks, blockSize, hasBlob } = settings;
  if (compression === undefined && chunks === undefined) return undefined;
  const spool = await spoolOf(settings, options);
  const files = settings.external
    ? inodes.filter((inode) => !placeOutside(inode, settings))
    : inodes;
  const stored: StoredData = compression
    ? await compressFiles(
        files,
        compression,
        spool,
        measure,
        options,
        packedHead(settings),
        rangesOf(options.first),
      )
    : { spool, blocks: 0, ends: undefined, packed: undefined };
  // With data elsewhere alone, what lies in the image is stored as in others.
  if (chunks === undefined || (settings.external && !hasBlob && !options.chunks)) return stored;
  const { packed } = stored;
  const rest = [...files, ...(packed ? [packed] : [])].filter(
    ({ type, size, isCompressed }) => type === 'file' && size > 0 && !isCompressed,
  );
  const unit = settings.dataUnit;
  const output = { spool, blocks: stored.blocks, blockSize, size: chunks.size, unit };
  const blocks = await chunkFiles(rest, { ...output, device: hasBlob ? BLOB : 0 }, options);
  return { ...stored, blocks };
}

/** What the packed inode begins with, where there is one. */
function packedHead(settings: Settings): Uint8Array | undefined {
  if (prefixesPlace(settings) !== 'packed') return undefined;
  return encodeLongPrefixes(settings.xattrPrefixes);
}

/** Where stored data go: to their place in the image, to the device beside it, or to a scratch file. */
async function spoolOf(settings: Settings, { blob, target, chunks }: WriteOptions): Promise<Spool> {
  if (blob) return blob.device;
  if (target === undefined) {
    return (await (settings.compression?.spool ?? chunks?.spool)?.()) ?? memorySpool();
  }
  const start = storedStart(settings) * settings.blockSize;
  return {
    write: (offset, bytes) => target.write(start + offset, bytes),
    read: (offset, length) => target.read(start + offset, length),
  };
}

/** Whether the data of a file lie on another device already: then it refers to them. */
function placeOutside(inode: Inode, { external, blockSize, hasBlob }: Settings): boolean {
  if (inode.type !== 'file' || inode.size === 0) return false;
  const place = external!.locate(inode.node);
  if (place === undefined || place.offset % blockSize !== 0) return false;
  const device = 1 + place.device + (hasBlob ? 1 : 0);
  inode.chunks = externalChunks(inode.size, place.offset / blockSize, device, blockSize);
  return true;
}

/** Devices beside the image, in the order of their numbers. */
export async function devicesOf(
  stored: StoredData | undefined,
  { external, blockSize, hasBlob }: Settings,
  { blob }: WriteOptions,
): Promise<PlannedDevice[]> {
  const devices: PlannedDevice[] = [];
  if (hasBlob) {
    const tag = typeof blob?.tag === 'function' ? await blob.tag() : (blob?.tag ?? '');
    devices.push({ blocks: stored?.blocks ?? 0, tag });
  }
  for (const { size, tag = '' } of external?.devices ?? []) {
    devices.push({ blocks: Math.ceil(size / blockSize), tag });
  }
  return devices;
}
