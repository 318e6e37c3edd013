import type { Awaitable } from '@anole/bytes';
import type { TreeNode } from '@anole/vfs';
import type { RafsBlob } from './blob.ts';
import type { Chunk } from './chunk.ts';

/** A piece of a file. */
export interface FileChunk {
  /** Byte of the file. */
  readonly offset: number;
  readonly blob: RafsBlob;
  readonly chunk: Chunk;
}

/** An inode of a RAFS image. */
export interface RafsNode extends TreeNode {
  lookup(name: string): Awaitable<RafsNode | undefined>;
  /**
   * What a file is made of, in order; what lies between is zeros. Nothing of other types.
   *
   * @throws RafsError as reading the file, but its data are not read
   */
  chunks(): Awaitable<readonly FileChunk[]>;
}

export function isRafsNode(node: TreeNode): node is RafsNode {
  return 'chunks' in node;
}
