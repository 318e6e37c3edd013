import { AnoleError, type Awaitable } from '@anole/bytes';
import type { ErofsNode, ErofsTree } from '@anole/erofs';
import type { CachedBlob } from '../cache/blob.ts';
import type { ByteRange } from '../cache/foresight.ts';

/** Nodes that are looked at, and ranges of their data: beyond that nobody waits for all of it. */
const MAX_NODES = 20_000;
const MAX_RANGES = 100_000;

/**
 * Brings what an image of RAFS says will be wanted first: files, and all that is in directories. It is a hint: where
 * that makes no sense, or cannot be brought, nothing is thrown.
 *
 * @param named gives the nids of its prefetch table
 */
export async function bringNamed(
  tree: ErofsTree,
  devices: readonly CachedBlob[],
  named: () => Awaitable<readonly number[]>,
): Promise<void> {
  const ranges = devices.map((): ByteRange[] => []);
  try {
    await collect(tree, await named(), ranges);
  } catch (error) {
    if (!AnoleError.is(error)) throw error;
  }
  const all = devices.map((device, at) => ({ device, wanted: ranges[at]! }));
  const some = all.filter(({ wanted }) => wanted.length > 0);
  await Promise.all(some.map(({ device, wanted }) => device.bringAhead(wanted)));
}

/** @param ranges of each device, which are added to */
async function collect(
  tree: ErofsTree,
  nids: readonly number[],
  ranges: readonly ByteRange[][],
): Promise<void> {
  const left: ErofsNode[] = [];
  for (const nid of nids.slice(0, MAX_NODES)) left.push(await tree.node(nid));
  let room = MAX_RANGES;
  for (let count = 0; count < MAX_NODES && room > 0; count++) {
    const node = left.shift();
    if (node === undefined) return;
    if (node.stat.type === 'directory') {
      for (const { ino } of await node.list()) {
        if (left.length < MAX_NODES) left.push(await tree.byIno(ino));
      }
    } else if (node.stat.type === 'file') room -= await placesOf(node, ranges, room);
  }
}

/** Gives how many ranges were added. */
async function placesOf(
  node: ErofsNode,
  ranges: readonly ByteRange[][],
  room: number,
): Promise<number> {
  let added = 0;
  for (let at = 0; at < node.stat.size && added < room; ) {
    const { kind, device, offset, start, length } = await node.mapping(at);
    const own = kind === 'device' && device > 0 ? ranges[device - 1] : undefined;
    own?.push([start, start + length]);
    if (own) added++;
    at = offset + length;
  }
  return added;
}
