import { type Flow, wait } from '@anole/bytes';
import type { TreeNode } from './tree.ts';

/**
 * How a layer says that something below it is gone: `oci` by files named `.wh.NAME` and
 * `.wh..wh..opq` (OCI image-spec, layer.md, "Whiteouts"), `overlayfs` by character devices 0:0 and
 * the attribute `trusted.overlay.opaque` (Linux, Documentation/filesystems/overlayfs.rst).
 */
export type Whiteouts = 'none' | 'oci' | 'overlayfs';

export const PREFIX = '.wh.';
/** Of bookkeeping that old union file systems left in layers; it means nothing. */
const BOOKKEEPING = '.wh..wh.';
export const OPAQUE = '.wh..wh..opq';
const OPAQUE_ATTRIBUTES = ['trusted.overlay.opaque', 'user.overlay.opaque'];
const YES = 0x79;

/** True for names that only speak about lower layers: they are never shown. */
export function isMarker(whiteouts: Whiteouts, name: string): boolean {
  return whiteouts === 'oci' && name.startsWith(PREFIX);
}

/** Whether a directory of a layer hides the name in the layers below. */
export function* hides(whiteouts: Whiteouts, directory: TreeNode, name: string): Flow<boolean> {
  if (whiteouts !== 'oci') return false;
  return (yield* wait(directory.lookup(PREFIX + name))) !== undefined;
}

/** True for a node that stands for "nothing here". */
export function isWhiteout(whiteouts: Whiteouts, { stat }: TreeNode): boolean {
  if (whiteouts !== 'overlayfs' || stat.type !== 'character') return false;
  return (stat.rdev?.major ?? 0) === 0 && (stat.rdev?.minor ?? 0) === 0;
}

/** Whether a directory hides everything that lower layers have in its place. */
export function* isOpaque(whiteouts: Whiteouts, directory: TreeNode): Flow<boolean> {
  if (whiteouts === 'oci') return (yield* wait(directory.lookup(OPAQUE))) !== undefined;
  if (whiteouts === 'none') return false;
  const xattrs = yield* wait(directory.xattrs());
  return OPAQUE_ATTRIBUTES.some((name) => xattrs.get(name)?.[0] === YES);
}

/** What a name of an OCI layer says about lower layers. */
export type Marker =
  | { readonly kind: 'opaque' }
  | { readonly kind: 'ignored' }
  /** `name` may be anything that follows the prefix: check it. */
  | { readonly kind: 'removed'; readonly name: string };

export function markerOf(name: string): Marker | undefined {
  if (!name.startsWith(PREFIX)) return undefined;
  if (name === OPAQUE) return { kind: 'opaque' };
  if (name.startsWith(BOOKKEEPING)) return { kind: 'ignored' };
  return { kind: 'removed', name: name.slice(PREFIX.length) };
}
