import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnoleError, memorySource, viewOf } from '@anole/bytes';
import { MemoryTree, type TreeNode } from '@anole/vfs';
import { sparseContent } from '../../vfs/src/tar/sparse-content.ts';
import { utf8 } from '../../vfs/test/trees.ts';
import { checkedEnd, superblockChecksum } from '../src/checksum.ts';
import { openErofs } from '../src/index.ts';
import { Superblock } from '../src/layout/superblock.ts';
import { imageOf } from './judges.ts';
import { patterned } from './trees.ts';

/** A tree of everything, small, so that damage hits something that counts. */
function target(): MemoryTree {
  const tree = new MemoryTree();
  const label = new Map([['security.selinux', utf8('a label of some length\0')]]);
  tree.putFile('plain', patterned(9000), { xattrs: label });
  tree.putFile('deep/er/inline', patterned(700), { xattrs: label, uid: 100_000 });
  tree.putSymlink('deep/link', '../plain');
  tree.putSpecial('null', 'character', { rdev: { major: 1, minor: 3 } });
  tree.putLink('deep/again', 'plain');
  tree.putFile('own', utf8('x'), { xattrs: new Map([['user.own', patterned(40)]]) });
  const content = memorySource(patterned(4096));
  tree.putFile('holes', sparseContent(content, [{ offset: 8192, length: 4096 }], 50_000));
  for (let index = 0; index < 300; index++) {
    tree.putFile(`crowd/a-name-of-some-length-${index}`, new Uint8Array(0));
  }
  return tree;
}

/** Numbers below `limit`, the same for the same seed (mulberry32). */
function random(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

const notable = [0, 1, 2, 12, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0xffffffff];

function damage(image: Uint8Array, below: (limit: number) => number): Uint8Array {
  const bytes = image.slice();
  const view = viewOf(bytes);
  // Most of what can be damaged lies in the first blocks.
  const place = () => 1024 + below((below(4) === 0 ? bytes.length : 12288) - 1032);
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
function reseal(bytes: Uint8Array): void {
  const end = checkedEnd(4096);
  if (bytes.length < end) return;
  const view = viewOf(bytes);
  const at = 1024 + Superblock.offsets.checksum;
  view.setUint32(at, 0, true);
  view.setUint32(at, superblockChecksum(bytes.subarray(1024, end)), true);
}

/** Does all that can be done with a tree; errors of damage are passed over. Counts the nodes. */
function exercise(bytes: Uint8Array): number {
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

test('a damaged image gives coded errors only, in bounded time', async () => {
  const image = await imageOf(target());
  assert.ok(exercise(image) > 300);
  const end = performance.now() + seconds * 1000;
  for (let seed = 1; seed <= 1500 || performance.now() < end; seed++) {
    try {
      exercise(damage(image, random(seed)));
    } catch (error) {
      throw new Error(`with seed ${seed}`, { cause: error });
    }
  }
});

test('bytes that are no image are refused', () => {
  for (const bytes of [new Uint8Array(0), new Uint8Array(1151), new Uint8Array(8192)]) {
    assert.throws(
      () => openErofs(memorySource(bytes)),
      (error) => AnoleError.is(error) && error.code === 'EROFS_BAD_SUPERBLOCK',
    );
  }
});
