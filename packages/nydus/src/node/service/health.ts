import { statfs } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BackEndFigures } from './back-ends.ts';

/** Milliseconds for which a call of the disk may be under way. */
const PATIENCE = 2000;
/** Bytes that a disk has to have free: a chunk and its notes. */
const LEAST = 2 * 1024 * 1024;

/** What makes readers wait, or get errors, in a line each: a disk, threads that are all taken, places of images. */
export async function troubles(
  cache: string,
  backEnds: readonly BackEndFigures[],
): Promise<readonly string[]> {
  const failing = backEnds.flatMap(({ name, isFailing, failingSince, lastFailure }) =>
    isFailing ? [`back end ${name} fails since ${failingSince}: ${lastFailure?.reason}`] : [],
  );
  return [...(await diskTroubles(cache)), ...failing];
}

async function diskTroubles(cache: string): Promise<readonly string[]> {
  const asking = statfs(cache).then(
    ({ bavail, bsize }) => {
      const free = bavail * bsize;
      return free < LEAST ? [`the disk of ${cache} is full: ${free} bytes are free`] : [];
    },
    (error: unknown) => [`the disk of ${cache} cannot be asked: ${String(error)}`],
  );
  const ending = new AbortController();
  const waiting = sleep(PATIENCE, undefined, { signal: ending.signal }).catch(() => undefined);
  const found = await Promise.race([asking, waiting]);
  ending.abort();
  return found ?? [`the disk of ${cache} does not answer, or no thread is left to ask it`];
}
