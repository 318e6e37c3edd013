import { writeFileAtomically } from '@anole/host';
import { mergeRafs, type NamedImage } from '@anole/nydus';
import type { CommandContext } from '../context.ts';
import { type DictionaryFlags, dictionaryOf } from './dictionary.ts';
import { type BlobFlags, namedImage, openRafsFile } from './open.ts';

interface MergeFlags extends BlobFlags, DictionaryFlags {
  readonly bootstrap: string;
  readonly parentBootstrap?: string;
}

export async function mergeAction(
  context: CommandContext,
  files: readonly string[],
  flags: MergeFlags,
): Promise<number> {
  using resources = new DisposableStack();
  const layers: NamedImage[] = [];
  const { parentBootstrap } = flags;
  for (const file of parentBootstrap === undefined ? files : [parentBootstrap, ...files]) {
    const opened = resources.use(await openRafsFile(file, flags));
    layers.push(await namedImage(opened, context.signal));
  }
  const dictionary = await dictionaryOf(flags, context);
  const { bootstrap, blobs } = await mergeRafs(layers, {
    signal: context.signal,
    onProgress: context.progress,
    ...(dictionary && { dictionary }),
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
