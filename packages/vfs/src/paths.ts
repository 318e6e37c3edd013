import { encodeName } from '@anole/bytes';

const beyondPlain = /[\ud800-\uffff]/;

/** Orders names as their bytes do. That is the order of every listing and archive of ours. */
export function compareNames(a: string, b: string): number {
  if (a === b) return 0;
  // UTF-16 orders as UTF-8 does as long as there are no surrogates and nothing above them.
  if (!beyondPlain.test(a) && !beyondPlain.test(b)) return a < b ? -1 : 1;
  const left = encodeName(a);
  const right = encodeName(b);
  const shared = Math.min(left.length, right.length);
  for (let at = 0; at < shared; at++) {
    if (left[at] !== right[at]) return left[at]! - right[at]!;
  }
  return left.length - right.length;
}

/** The components of a path: without empty ones and `.`; `..` stays. */
export function splitPath(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
