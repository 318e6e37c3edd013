import type { LayerBetweenOptions } from './layer-between.ts';
import type { ChunkStore, StoredChunk } from './memory-overlay/chunk.ts';
import type { OverlayState } from './memory-overlay/state.ts';
import {
  type MemoryOverlayOptions,
  OverlayTree,
  type SaveOverlayOptions,
} from './memory-overlay/tree.ts';
import type { Stat, Tree, TreeNode } from './tree.ts';
import type { WritableNode, WritableTree } from './writable.ts';

export { readOverlay, writeOverlay } from './memory-overlay/lines.ts';
export type { ChunkStore, MemoryOverlayOptions, OverlayState, StoredChunk };

/** An overlay in memory, which others can go on from. */
export interface MemoryOverlay extends WritableTree {
  /** Whether no change is under way, so that {@link save} finds none half-made. */
  readonly idle: boolean;
  /** The node of a number, where it is in use or changed. */
  node(ino: number): WritableNode | undefined;
  /**
   * Takes the overlay as it is, as data that can be posted to another thread. Costs what was written
   * since the last time; bytes of files are shared, and copied when one side writes them.
   */
  save(options?: SaveOverlayOptions): OverlayState;
  /**
   * What was changed, as the tree of an OCI layer: see {@link layerBetween}. Contents are read from the
   * overlay, which must not change meanwhile.
   */
  changes(options?: Omit<LayerBetweenOptions, 'isSame'>): Promise<Tree>;
  /**
   * Becomes what `save` gave of another overlay over the same lower tree. Only where nothing was
   * looked up or changed yet.
   *
   * @param store where chunks are that came from {@link readOverlay}
   * @throws VfsError `VFS_NOT_FOUND` where the lower tree is another one
   */
  restore(state: OverlayState, store?: ChunkStore): Promise<void>;
}

/**
 * A writable layer in memory over a Tree that is only read: what a machine writes on its image.
 * Without `lower` a file system in memory, whose root is root's and of mode 0755.
 *
 * Files are copied up by chunks of 16 KiB as they are written, directories name by name, so a
 * change costs memory in proportion to itself. A node keeps its ino when it is copied up. All is
 * bounded by `maxBytes`; beyond it, changes raise `VFS_NO_SPACE`. Answers are synchronous wherever
 * `lower` answers synchronously. Access times change only when set.
 *
 * `lower` must not change while it is in use; closing the overlay closes it.
 *
 * @example
 * const tree = memoryOverlay(image, { maxBytes: 256 * 1024 * 1024 });
 * const file = await tree.root.create('motd', { type: 'file', mode: 0o644, uid: 0, gid: 0 });
 * await file.write(0, new TextEncoder().encode('hello\n'));
 *
 * @throws VfsError `VFS_NOT_DIRECTORY` where the root of `lower` is no directory.
 */
export function memoryOverlay(
  lower: Tree = emptyTree(),
  options: MemoryOverlayOptions = {},
): MemoryOverlay {
  return new OverlayTree(lower, options);
}

function emptyTree(): Tree {
  const now = Date.now();
  const seconds = Math.floor(now / 1000);
  const mtime = { seconds, nanoseconds: (now - seconds * 1000) * 1e6 };
  const stat: Stat = {
    ino: 1,
    type: 'directory',
    mode: 0o755,
    uid: 0,
    gid: 0,
    size: 0,
    nlink: 2,
    mtime,
  };
  const root: TreeNode = {
    stat,
    lookup: () => undefined,
    list: () => [],
    readLink: () => '',
    read: () => new Uint8Array(0),
    xattrs: () => new Map(),
  };
  return { root };
}
