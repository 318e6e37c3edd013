import { writeFileAtomically } from '@anole/host';
import { ChunkDictionary, generateDictionary, type NamedImage } from '@anole/nydus';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { formatBytes } from '../progress.ts';
import { type BlobFlags, namedImage, openRafsFile } from './open.ts';

/** What commands take that can do with a dictionary. */
export interface DictionaryFlags {
  readonly chunkDict?: readonly string[];
}

/** The chunks of the images of `--chunk-dict`; undefined where there are none. */
export async function dictionaryOf(
  { chunkDict }: DictionaryFlags,
  { signal }: CommandContext,
): Promise<ChunkDictionary | undefined> {
  if (chunkDict === undefined) return undefined;
  const dictionary = new ChunkDictionary();
  for (const given of chunkDict) {
    using opened = await openRafsFile(pathOf(given));
    const { image, self } = await namedImage(opened, signal);
    await dictionary.add(image, self);
  }
  return dictionary;
}

/** nydus-image takes `TYPE=PATH`, and knows one type. */
function pathOf(given: string): string {
  const [, type, path] = /^(\w+)=(.*)$/.exec(given) ?? [];
  if (type === undefined) return given;
  if (type === 'bootstrap') return path!;
  throw usageError(`Cannot take a dictionary of type ${type}: give a bootstrap`, 'nydus create');
}

interface GenerateFlags extends BlobFlags {
  readonly bootstrap: string;
  readonly minImages?: string;
}

/** Makes a dictionary of what images have in common. */
export async function generateAction(
  context: CommandContext,
  files: readonly string[],
  flags: GenerateFlags,
): Promise<number> {
  const minImages = flags.minImages === undefined ? undefined : Number(flags.minImages);
  if (minImages !== undefined && !(minImages >= 1 && minImages <= files.length)) {
    const message = `Cannot take ${flags.minImages} for --min-images: there are ${files.length}`;
    throw usageError(message, 'nydus chunkdict generate');
  }
  using resources = new DisposableStack();
  const images: NamedImage[] = [];
  for (const file of files) {
    const opened = resources.use(await openRafsFile(file, flags));
    images.push(await namedImage(opened, context.signal));
  }
  const { bootstrap, blobs, chunks, size } = await generateDictionary(images, {
    signal: context.signal,
    onProgress: context.progress,
    ...(minImages !== undefined && { minImages }),
  });
  await writeFileAtomically(flags.bootstrap, bootstrap);
  context.endProgress();
  const ids = blobs.map(({ id }) => id);
  if (context.json) {
    const facts = { bootstrap: flags.bootstrap, size: bootstrap.length, chunks, bytes: size };
    context.out(JSON.stringify({ ...facts, blobs: ids }, null, 2));
    return 0;
  }
  context.out(
    `${flags.bootstrap}: ${chunks} chunks, ${formatBytes(size)} decoded, of ${ids.length} blobs`,
  );
  for (const id of ids) context.out(id);
  return 0;
}
