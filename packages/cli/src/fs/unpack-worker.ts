import { workerData } from 'node:worker_threads';
import { isPromise } from '@anole/bytes';
import { algorithms } from '@anole/erofs/format';
import { type ErofsTree, openErofs } from '@anole/erofs/reader';
import { FileMaker, fileSource, serveCrew } from '@anole/host/in-thread';

/** What a thread that unpacks files is started with. */
export interface UnpackWork {
  readonly image: string;
  readonly base: string;
  readonly owners: boolean;
}

/** Files to make. Answered by the bytes written. */
export interface UnpackJob {
  /** Paths below `base`, with NUL between them. */
  readonly directories: string;
  /** One for each file, with slashes between them. */
  readonly names: string;
  /** For each file the number of its directory, and its inode. */
  readonly numbers: Float64Array<ArrayBuffer>;
}

const { image, base, owners } = workerData as UnpackWork;
const opened = open();
const maker = new FileMaker(base, { owners });

async function open(): Promise<ErofsTree> {
  const source = fileSource(image);
  // What is read is written at once.
  const options = { reuseMemory: true };
  const tree = await openErofs(source, options);
  const ours = (1 << algorithms.lz4) | (1 << algorithms.lzma);
  if ((tree.info.algorithms & ~ours) === 0) return tree;
  // They take longer to load than an image takes that needs none.
  const { hostDecoders } = await import('@anole/host/decoders');
  return await openErofs(source, { ...options, decoders: hostDecoders });
}

serveCrew(async ({ directories, names, numbers }: UnpackJob): Promise<number> => {
  const tree = await opened;
  const before = maker.bytes;
  const above = directories.split('\0');
  for (const [index, name] of names.split('/').entries()) {
    const directory = above[numbers[2 * index]!]!;
    const found = tree.node(numbers[2 * index + 1]!);
    // Awaiting what is there costs, too.
    const node = isPromise(found) ? await found : found;
    const making = maker.make(directory === '' ? name : `${directory}/${name}`, node, false);
    if (making) for await (const _ of making);
  }
  maker.release();
  return maker.bytes - before;
});
