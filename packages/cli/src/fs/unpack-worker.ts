import { workerData } from 'node:worker_threads';
import { openErofs } from '@anole/erofs/reader';
import { fileSource, fileUnpacker, hostDecoders, serveCrew } from '@anole/host';

/** What a thread that unpacks files is started with. */
export interface UnpackWork {
  readonly image: string;
  readonly base: string;
  readonly owners: boolean;
}

/** Files to write: their names below `base`, and their inodes. Answered by the bytes written. */
export type UnpackJob = readonly (readonly [path: string, nid: number])[];

const { image, base, owners } = workerData as UnpackWork;
const opened = openErofs(fileSource(image), { decoders: hostDecoders });
const write = fileUnpacker(base, owners);

serveCrew(async (job: UnpackJob): Promise<number> => {
  const tree = await opened;
  let bytes = 0;
  for (const [path, nid] of job) bytes += await write({ path, node: await tree.node(nid) });
  return bytes;
});
