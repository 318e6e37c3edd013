import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { hasNative, native } from './koffi.ts';

const mallocTrim = native('int malloc_trim(size_t pad)');

/** Source: V8 src/extensions/gc-extension.cc. */
type Collect = (options: {
  readonly type: 'major';
  readonly execution: 'sync';
  readonly flavor: 'last-resort';
}) => void;

/**
 * Returns to the system what this process has taken and does not use: pages of V8's heap and of the C library's. This
 * thread does nothing else meanwhile, for some tens of milliseconds. For what lives long, after it has done much.
 */
export function giveBackMemory(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as Collect;
  setFlagsFromString('--no-expose-gc');
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  if (hasNative()) mallocTrim(0);
}
