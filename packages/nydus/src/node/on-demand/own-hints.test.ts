import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { ErofsTree } from '@anole/erofs';
import type { CachedBlob } from '../cache/blob.ts';
import type { ByteRange } from '../cache/ranges.ts';
import { bringNamed } from './own-hints.ts';

const BLOCK = 4096;
const ROOT = 36;

interface Made {
  readonly nid: number;
  readonly size: number;
  readonly kind?: 'hole' | 'device';
  readonly onMapping?: () => void;
}

/** A tree of files whose bytes lie on a device in blocks, in its root. */
function treeOf(files: readonly Made[]): ErofsTree {
  const nodes = files.map(({ nid, size, kind = 'device', onMapping }) => ({
    nid,
    stat: { type: 'file', size },
    mapping(offset: number) {
      onMapping?.();
      return { kind, device: 1, offset, start: offset, length: BLOCK };
    },
  }));
  const entries = files.map(({ nid }) => ({ name: `${nid}`, type: 'file', ino: nid }));
  const root = { nid: ROOT, stat: { type: 'directory', size: BLOCK }, list: () => entries };
  const node = (wanted: number) => [root, ...nodes].find(({ nid }) => nid === wanted);
  return { root, node, byIno: node } as unknown as ErofsTree;
}

async function brought(
  tree: ErofsTree,
  nids: readonly number[],
  { signal }: AbortController = new AbortController(),
): Promise<ByteRange[]> {
  const all: ByteRange[] = [];
  const bringAhead = async (ranges: readonly ByteRange[]) => void all.push(...ranges);
  await bringNamed(tree, [{ bringAhead } as unknown as CachedBlob], () => nids, signal);
  return all;
}

it('what a table of hints names often is looked at once', async () => {
  const nids = Array.from({ length: 20_000 }, () => 40);
  assert.deepEqual(await brought(treeOf([{ nid: 40, size: BLOCK }]), nids), [[0, BLOCK]]);
});

it('holes of files are looked at no longer than data', async () => {
  let looks = 0;
  const onMapping = () => looks++;
  const tree = treeOf([{ nid: 40, size: BLOCK * 200_000, kind: 'hole', onMapping }]);
  assert.deepEqual(await brought(tree, [40]), []);
  assert.equal(looks, 100_000);
});

it('others have their turn while hints are looked at, and the end of the image is heard', async () => {
  const closing = new AbortController();
  let looks = 0;
  const onMapping = () => {
    if (looks++ === 0) setTimeout(() => closing.abort(), 0);
    const since = performance.now();
    while (performance.now() - since < 1);
  };
  const tree = treeOf([{ nid: 40, size: BLOCK * 20_000, onMapping }]);
  assert.deepEqual(await brought(tree, [40], closing), []);
  assert.ok(looks < 20_000);
});

it('an image that names its root names nothing', async () => {
  const tree = treeOf([{ nid: 40, size: BLOCK }]);
  assert.deepEqual(await brought(tree, [ROOT]), []);
  assert.deepEqual(await brought(tree, [ROOT, 40]), [[0, BLOCK]]);
});

it('hints that cannot be read are none', async () => {
  const onMapping = () => {
    throw new Error('the cache has been closed');
  };
  assert.deepEqual(await brought(treeOf([{ nid: 40, size: BLOCK, onMapping }]), [40]), []);
});
