import { workerData } from 'node:worker_threads';
import { algorithms } from '@anole/erofs/format';
import { type ErofsTree, openErofs } from '@anole/erofs/reader';
import { fileSource, serveCrew } from '@anole/host/in-thread';
import { type UnpackDone, UnpackFiles, type UnpackJob, type UnpackWork } from './unpack-files.ts';

/** What a thread that unpacks files is started with. */
export interface UnpackTask extends UnpackWork {
  readonly image: string;
}

const task = workerData as UnpackTask;
const opened = open().then((tree) => new UnpackFiles(tree, task));

async function open(): Promise<ErofsTree> {
  const source = fileSource(task.image);
  // What is read is written at once.
  const options = { reuseMemory: true };
  const tree = await openErofs(source, options);
  const ours = (1 << algorithms.lz4) | (1 << algorithms.lzma);
  if ((tree.info.algorithms & ~ours) === 0) return tree;
  // They take longer to load than an image takes that needs none.
  const { hostDecoders } = await import('@anole/host/decoders');
  return await openErofs(source, { ...options, decoders: hostDecoders });
}

serveCrew(async (job: UnpackJob): Promise<UnpackDone> => await (await opened).run(job));
