import { futimesSync, lutimesSync } from 'node:fs';
import type { Timestamp } from '@anole/vfs';
import { setTimesOf } from './native/file-calls.ts';
import { hasNative } from './native/koffi.ts';

/**
 * Gives an open file, or what a path stands for (links are not followed), one time of access and change: to the
 * nanosecond where native calls can be had, else to the microsecond. So for paths that are bytes.
 */
export function setTimes(file: number | string | Buffer, time: Timestamp): void {
  if (typeof file !== 'object' && hasNative()) setTimesOf(file, time);
  else if (typeof file === 'number') futimesSync(file, unixTime(time), unixTime(time));
  else lutimesSync(file, unixTime(time), unixTime(time));
}

/**
 * What Node's utimes takes: a number of seconds, as text since it takes negative numbers for "now".
 * Half a microsecond is added so that cutting off what a double cannot hold keeps the microsecond.
 */
function unixTime({ seconds, nanoseconds }: Timestamp): string {
  if (nanoseconds === 0) return String(seconds);
  return String(seconds + (Math.floor(nanoseconds / 1000) + 0.5) / 1e6);
}
