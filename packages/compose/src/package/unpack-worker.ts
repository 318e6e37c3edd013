import { readFileSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { AnoleError, memorySource } from '@anole/bytes';
import { openDeb } from './deb.ts';
import { unpackDeb } from './unpack.ts';
import type { UnpackAnswer, UnpackJob } from './unpack-pool.ts';

// One job after another: the decoder of xz serves one stream of a thread at a time.
parentPort?.on('message', async (job: UnpackJob) => {
  parentPort?.postMessage(await answer(job));
});

async function answer(job: UnpackJob): Promise<UnpackAnswer> {
  try {
    const deb = await openDeb(memorySource(readFileSync(job.deb)));
    await unpackDeb(deb, job.path, job.temporary);
    return { id: job.id };
  } catch (error) {
    const { message } = error instanceof Error ? error : { message: String(error) };
    if (!AnoleError.is(error)) return { id: job.id, error: { message } };
    const { code, hint, details } = error;
    return {
      id: job.id,
      error: { message, code, details, ...(hint === undefined ? {} : { hint }) },
    };
  }
}
