import { memorySource } from '@anole/bytes';
import type { Tree } from '@anole/vfs';
import { openRafs, type RafsImage, type RafsWriteOptions, writeRafs } from '../src/index.ts';
import { SELF_ID } from '../src/layout/blob.ts';
import { nodeCodecs, nodeEncoders } from '../src/node/index.ts';

export const encoders = nodeEncoders();

/** An image in memory. */
export interface Written {
  readonly bootstrap: Uint8Array;
  /** By their names. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
}

export async function written(
  tree: Tree,
  options: Partial<RafsWriteOptions> = {},
): Promise<Written> {
  const pieces: Uint8Array[] = [];
  const sink = { write: (bytes: Uint8Array) => void pieces.push(bytes.slice()) };
  const { bootstrap, blob } = await writeRafs(tree, sink, { encoders, ...options });
  const blobs = new Map<string, Uint8Array>();
  if (blob) {
    const bytes = Uint8Array.from(Buffer.concat(pieces));
    // A bootstrap that lies in its blob does not know its name.
    blobs.set(options.inlineBootstrap ? SELF_ID : blob.id, bytes);
  }
  return { bootstrap, blobs };
}

export async function opened(
  bootstrap: Uint8Array,
  ...blobs: readonly ReadonlyMap<string, Uint8Array>[]
): Promise<RafsImage> {
  const find = (id: string) => blobs.flatMap((map) => map.get(id) ?? [])[0];
  return await openRafs(
    memorySource(bootstrap),
    (id) => {
      const bytes = find(id);
      return bytes && memorySource(bytes);
    },
    { codecs: nodeCodecs },
  );
}
