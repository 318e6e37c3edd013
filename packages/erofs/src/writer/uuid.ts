import { viewOf } from '@anole/bytes';
import { xxh32 } from '../xxh32.ts';
import { directoryBlocks } from './directory.ts';
import { encodeInode } from './metadata.ts';
import type { Plan } from './plan.ts';

/** Bytes hashed at once: most things are small. */
const GATHERED = 64 * 1024;

/**
 * A UUID that is the same for the same tree and options: four running hashes over all inodes,
 * attributes, names and link targets. Data of files are not read for it, their sizes and times are.
 * Version 8 of RFC 9562: an identifier of one's own making.
 */
export function deriveUuid(plan: Plan): Uint8Array {
  const state = [1, 2, 3, 4];
  const gathered = new Uint8Array(GATHERED);
  let used = 0;
  const hash = (bytes: Uint8Array): void => {
    for (let lane = 0; lane < 4; lane++) state[lane] = xxh32(bytes, state[lane]!);
  };
  const mix = (bytes: Uint8Array): void => {
    if (used + bytes.length > GATHERED) {
      hash(gathered.subarray(0, used));
      used = 0;
    }
    if (bytes.length > GATHERED) hash(bytes);
    else {
      gathered.set(bytes, used);
      used += bytes.length;
    }
  };
  mix(Uint8Array.of(plan.settings.blockBits, ...plan.settings.volumeName));
  for (const inode of plan.inodes) {
    mix(encodeInode(inode, plan));
    for (const item of inode.xattrs) mix(item.bytes);
    if (inode.target) mix(inode.target);
    if (!inode.directory) continue;
    for (const block of directoryBlocks(inode.directory, plan.settings.blockSize)) mix(block);
  }
  hash(gathered.subarray(0, used));
  const uuid = new Uint8Array(16);
  state.forEach((hash, lane) => {
    viewOf(uuid).setUint32(lane * 4, hash);
  });
  uuid[6] = (uuid[6]! & 0x0f) | 0x80;
  uuid[8] = (uuid[8]! & 0x3f) | 0x80;
  return uuid;
}
