import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes given to sockets between collections: no more than caches hold, so that memory is used again in them. */
const SPAN = 8 * 1024 * 1024;
const SPAN_MOST = 256 * 1024 * 1024;
/** Microseconds of a collection above which they become rarer: much has survived, which it copies. */
const DEAR = 3000;

type Collect = (options: { readonly type: 'minor' }) => void;

let collect: Collect | undefined;
let isLooked = false;
let given = 0;
let span = SPAN;

/**
 * Counts memory that is given to a program for what was received, and has V8 look through its youngest objects now and
 * then: see docs/decisions/0174-collecting-what-streams-leave.md.
 */
export function countGiven(bytes: number): void {
  given += bytes;
  if (given < span) return;
  given = 0;
  collect ??= findCollect();
  if (collect === undefined) return;
  const before = process.threadCpuUsage();
  collect({ type: 'minor' });
  const { user, system } = process.threadCpuUsage(before);
  const isDear = user + system > DEAR;
  span = isDear ? Math.min(span * 2, SPAN_MOST) : Math.max(span / 2, SPAN);
}

/** V8's own function, which programs do not get to see; undefined where it is not to be had. */
function findCollect(): Collect | undefined {
  if (isLooked) return undefined;
  isLooked = true;
  try {
    setFlagsFromString('--expose-gc');
    // Once a piece so large has been freed, glibc keeps as much that is free at the end of its heap. It would give back
    // at once what a collection leaves there, and each new page costs as much as copying its bytes.
    Buffer.allocUnsafeSlow(2 * SPAN);
    return runInNewContext('gc') as Collect;
  } catch {
    return undefined;
  } finally {
    setFlagsFromString('--no-expose-gc');
  }
}
