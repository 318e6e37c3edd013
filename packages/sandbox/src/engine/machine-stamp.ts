import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from '@anole/bytes/threads';
import { stampOfFiles } from './stamp-of-files.ts';

let stamp: string | undefined;

/** Stands for the code of @anole/machine: names, sizes and times of its files. */
export function machineStamp(): string {
  stamp ??=
    bundle()?.machine ??
    stampOfFiles(dirname(fileURLToPath(import.meta.resolve('@anole/machine'))));
  return stamp!;
}

/** For a thread that shall not look for itself: what {@link machineStamp} says in the one that starts it. */
export function useMachineStamp(known: string): void {
  stamp = known;
}
