import assert from 'node:assert/strict';
import { AnoleError, memorySource, viewOf } from '@anole/bytes';
import type { TreeNode } from '@anole/vfs';
import { checkedEnd, superblockChecksum } from '../src/checksum.ts';
import { openErofs } from '../src/index.ts';
import { Superblock } from '../src/layout/superblock.ts';

/** Numbers below `limit`, the same for the same seed (mulberry32). */
export function random(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

const notable = [0, 1, 2, 12, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0xffffffff];

/**
 * A copy with some bytes changed.
 *
 * @param places bytes that count; most damage lies within the 128 after one of them
 */
export function damage(
  image: Uint8Array,
  below: (limit: number) => number,
  places?: readonly number[],
): Uint8Array {
  const bytes = image.slice();
  const view = viewOf(bytes);
  const place = () => {
    const last = bytes.length - 8;
    if (below(4) === 0) return 1024 + below(last - 1024);
    // Most of what can be damaged lies in the first blocks.
    if (places === undefined) return 1024 + below(12288 - 1032);
    return Math.min(last, places[below(places.length)]! + below(128));
  };
  for (let count = 1 + below(6); count > 0; count--) {
    const at = place();
    const value = notable[below(notable.length)]!;
    const kind = below(6);
    if (kind === 0) bytes[at] = below(256);
    else if (kind === 1) bytes[at] = bytes[at]! ^ (1 << below(8));
    else if (kind === 2) view.setUint16(at & ~1, value & 0xffff, true);
    else if (kind === 3) view.setUint32(at & ~3, value, true);
    else if (kind === 4)
      view.setUint32(at & ~3, view.getUint32(at & ~3, true) + below(5) - 2, true);
    else bytes.copyWithin(at, place(), Math.min(bytes.length, place() + 64));
  }
  const whole = below(20) === 0 ? bytes.subarray(0, below(bytes.length)) : bytes;
  if (below(10) > 0) reseal(whole);
  return whole;
}

/** Without it the checksum would catch all damage in the first block. */
export function reseal(bytes: Uint8Array): void {
  const end = checkedEnd(4096);
  if (bytes.length < end) return;
  const view = viewOf(bytes);
  const at = 1024 + Superblock.offsets.checksum;
  view.setUint32(at, 0, true);
  view.setUint32(at, superblockChecksum(bytes.subarray(1024, end)), true);
}

/** Does all that can be done with a tree; errors of damage are passed over. Counts the nodes. */
export function exercise(bytes: Uint8Array): number {
  const tree = attempt(() => openErofs(memorySource(bytes)));
  if (tree === undefined || tree instanceof Promise) return 0;
  let nodes = 0;
  const pending: TreeNode[] = [tree.root];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    const current = node;
    assert.ok(++nodes < 100_000, 'a walk does not end');
    attempt(() => current.xattrs());
    attempt(() => tree.root.xattr('user.own'));
    if (current.stat.type === 'symlink') attempt(() => current.readLink());
    if (current.stat.type === 'file') readParts(current);
    if (current.stat.type !== 'directory') continue;
    for (const { name } of attempt(() => current.list() as readonly { name: string }[]) ?? []) {
      const child = attempt(() => current.lookup(name) as TreeNode | undefined);
      if (child) pending.push(child);
    }
  }
  return nodes;
}

function readParts(node: TreeNode): void {
  const { size } = node.stat;
  attempt(() => node.read(0, 65536));
  attempt(() => node.read(Math.max(0, size - 5000), 5000));
  attempt(() => node.read(size, 10));
  attempt(() => node.extents?.());
}

function attempt<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (AnoleError.is(error) && /^(EROFS|VFS)_/.test(error.code)) return undefined;
    throw error;
  }
}

/** Seconds to go on for, to search by hand: ANOLE_FUZZ_SECONDS=600 */
const seconds = Number(process.env['ANOLE_FUZZ_SECONDS'] ?? 0);

/** Reads damaged copies of an image, so many at least. */
export function fuzz(image: Uint8Array, count: number, places?: readonly number[]): void {
  const end = performance.now() + seconds * 1000;
  for (let seed = 1; seed <= count || performance.now() < end; seed++) {
    try {
      exercise(damage(image, random(seed), places));
    } catch (error) {
      throw new Error(`with seed ${seed}`, { cause: error });
    }
  }
}
