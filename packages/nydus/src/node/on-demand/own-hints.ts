import { type Awaitable, Pacer } from '@anole/bytes';
import type { ErofsNode, ErofsTree } from '@anole/erofs';
import type { CachedBlob } from '../cache/blob.ts';
import type { ByteRange } from '../cache/ranges.ts';

/** Nodes that are looked at, and names and pieces of data that they have: beyond that nobody waits for all of it. */
const MAX_NODES = 20_000;
const MAX_LOOKS = 100_000;
/** Bytes of a directory, which is listed at once: in more are more names than nodes are looked at. */
const MAX_DIRECTORY = 1024 * 1024;

/**
 * Brings what an image of RAFS says will be wanted first: files, and all that is in directories. Not what is in the
 * root: nydusify names it where nobody said anything, and who brings all has foreseen nothing. It is a hint: where
 * it makes no sense, or cannot be brought, nothing is thrown.
 *
 * @param named gives the nids of its prefetch table
 * @param signal that nothing of the image may be looked at any more
 */
export async function bringNamed(
  tree: ErofsTree,
  devices: readonly CachedBlob[],
  named: () => Awaitable<readonly number[]>,
  signal: AbortSignal,
): Promise<void> {
  const ranges = devices.map((): ByteRange[] => []);
  try {
    await collect(tree, await named(), ranges, signal);
  } catch {
    // What was found until then is as good.
  }
  if (signal.aborted) return;
  const all = devices.map((device, at) => ({ device, wanted: ranges[at]! }));
  const some = all.filter(({ wanted }) => wanted.length > 0);
  await Promise.all(some.map(({ device, wanted }) => device.bringAhead(wanted)));
}

/** @param ranges of each device, which are added to */
async function collect(
  tree: ErofsTree,
  nids: readonly number[],
  ranges: readonly ByteRange[][],
  signal: AbortSignal,
): Promise<void> {
  const left = [...new Set(nids)].slice(0, MAX_NODES).map((nid) => () => tree.node(nid));
  const seen = new Set([tree.root.nid]);
  const pacer = new Pacer();
  // What is at hand is awaited without a turn.
  const turn = async () => {
    await pacer.turn();
    signal.throwIfAborted();
  };
  let room = MAX_LOOKS;
  // Grows while it is walked.
  for (const next of left) {
    if (room <= 0) return;
    await turn();
    const node = await next();
    if (seen.has(node.nid)) continue;
    seen.add(node.nid);
    if (node.stat.type === 'file') room -= await placesOf(node, ranges, room, turn);
    if (node.stat.type !== 'directory' || node.stat.size > MAX_DIRECTORY) continue;
    await turn();
    const entries = await node.list();
    room -= entries.length;
    const more = entries.slice(0, MAX_NODES - left.length);
    for (const { ino } of more) left.push(() => tree.byIno(ino));
  }
}

/** Gives how many pieces were looked at. */
async function placesOf(
  node: ErofsNode,
  ranges: readonly ByteRange[][],
  room: number,
  turn: () => Promise<void>,
): Promise<number> {
  let looks = 0;
  for (let at = 0; at < node.stat.size && looks < room; looks++) {
    await turn();
    const { kind, device, offset, start, length } = await node.mapping(at);
    if (kind === 'device' && device > 0) ranges[device - 1]?.push([start, start + length]);
    at = offset + length;
  }
  return looks;
}
