import { setFlagsFromString } from 'node:v8';

/**
 * Keeps the part of the heap for new objects as small as it is. V8 doubles it, up to 64 MiB, whenever much
 * of it survives, as what is kept of each file does; garbage then waits there, and memory outside of
 * the heap that belongs to it. For work on many files, before it begins; for threads, too.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
