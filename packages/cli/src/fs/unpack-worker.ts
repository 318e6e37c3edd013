import { parentPort, workerData } from 'node:worker_threads';
import { AnoleError } from '@anole/bytes';
import { openErofs } from '@anole/erofs';
import { fileSource, fileUnpacker, hostDecoders } from '@anole/host';

/** What a thread that unpacks files is started with. */
export interface UnpackWork {
  readonly image: string;
  readonly base: string;
  readonly owners: boolean;
}

/** A file to write: its name below `base`, and its inode. */
export type UnpackJob = readonly (readonly [path: string, nid: number])[];

export type UnpackAnswer =
  | { readonly bytes: number }
  | {
      readonly code: string | undefined;
      readonly message: string;
      readonly details: Readonly<Record<string, unknown>>;
      readonly hint: string | undefined;
    };

const { image, base, owners } = workerData as UnpackWork;
const opened = openErofs(fileSource(image), { decoders: hostDecoders });
const write = fileUnpacker(base, owners);

async function run(job: UnpackJob): Promise<UnpackAnswer> {
  try {
    const tree = await opened;
    let bytes = 0;
    for (const [path, nid] of job) bytes += await write({ path, node: await tree.node(nid) });
    return { bytes };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (!AnoleError.is(error))
      return { code: systemCodeOf(error), message, details: {}, hint: undefined };
    const { code, details, hint } = error;
    return { code, message, details, hint };
  }
}

function systemCodeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

// One after the other, in the order in which they come.
let turn: Promise<void> = Promise.resolve();
parentPort?.on('message', (job: UnpackJob) => {
  turn = turn.then(async () => parentPort?.postMessage(await run(job)));
});
