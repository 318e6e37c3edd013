import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { writeFileAtomically } from '@anole/host';
import { type MergeLayer, mergeRafs } from '@anole/nydus';
import type { CommandContext } from '../context.ts';
import { type BlobFlags, type OpenRafs, openRafsFile } from './open.ts';

interface MergeFlags extends BlobFlags {
  readonly bootstrap: string;
}

export async function mergeAction(
  context: CommandContext,
  files: readonly string[],
  flags: MergeFlags,
): Promise<number> {
  using resources = new DisposableStack();
  const layers: MergeLayer[] = [];
  for (const file of files) {
    const opened = resources.use(await openRafsFile(file, flags));
    layers.push(await layerOf(opened, context.signal));
  }
  const { bootstrap, blobs } = await mergeRafs(layers, {
    signal: context.signal,
    onProgress: context.progress,
  });
  await writeFileAtomically(flags.bootstrap, bootstrap);
  context.endProgress();
  if (context.json) {
    const facts = {
      bootstrap: flags.bootstrap,
      size: bootstrap.length,
      blobs: blobs.map(({ id }) => id),
    };
    context.out(JSON.stringify(facts, null, 2));
    return 0;
  }
  context.out(`${flags.bootstrap}: ${bootstrap.length} bytes`);
  for (const { id, chunkCount } of blobs) context.out(`${id}: ${chunkCount} chunks`);
  return 0;
}

/** A blob that holds its bootstrap is called by its digest from now on. */
async function layerOf(
  { image, file, inlined }: OpenRafs,
  signal: AbortSignal,
): Promise<MergeLayer> {
  if (inlined === undefined) return { image };
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { signal })) hash.update(chunk as Uint8Array);
  return { image, self: { ...inlined, id: hash.digest('hex') } };
}
