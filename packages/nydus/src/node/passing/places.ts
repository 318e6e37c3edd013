import type { ErofsNode } from '@anole/erofs';
import type { OnDemandImage } from '../on-demand/image.ts';

/** Pieces that are looked at in one go. */
const STEPS = 64;

/**
 * Whether all that is stored of a file is on this computer, so that reading it asks nobody.
 *
 * @param pause called now and then
 * @throws ErofsError as `mapping`
 */
export async function isHere(
  image: OnDemandImage,
  ino: number,
  pause: () => Promise<void>,
): Promise<boolean> {
  const node = await image.tree.byIno(ino);
  return await isPartHere(image, node, 0, node.stat.size, pause);
}

async function isPartHere(
  image: OnDemandImage,
  node: ErofsNode,
  from: number,
  end: number,
  pause: () => Promise<void>,
): Promise<boolean> {
  for (let at = from, step = 1; at < end; step++) {
    if (step % STEPS === 0) await pause();
    const { kind, device, offset, length, start, size } = await node.mapping(at);
    if (kind === 'device' && image.blobs[device]?.has(start, size) !== true) return false;
    if (kind === 'fragment') {
      const packed = await image.tree.packed();
      // Of a packed inode nothing lies in itself.
      if (packed === undefined || packed.nid === node.nid) return false;
      if (!(await isPartHere(image, packed, start, start + length, pause))) return false;
    }
    at = offset + length;
  }
  return true;
}
