import { readdirSync } from 'node:fs';
import { decodeName } from '@anole/bytes';
import type { DirectoryCalls } from './directory-calls.ts';
import { InodeNumbers } from './host-stat.ts';
import { ROW_WORDS, StatRows } from './stat-rows.ts';

/** What a directory lists, in no order. Plain data. */
export interface Listing {
  /** By `decodeName`, with `/` between them. */
  readonly names: string;
  /** For each name a row of a {@link StatRows}. */
  readonly words: Uint32Array<ArrayBuffer>;
}

/** Rows are filled without looking at numbers of inodes. */
const noNumbers = new InodeNumbers(0);

/** Lists an open directory. */
export function listDirectory(calls: DirectoryCalls, directory: number): Listing {
  const names = namesIn(`/proc/self/fd/${directory}`);
  const rows = new StatRows(names.length, noNumbers);
  const there: string[] = [];
  for (const name of names) {
    // Between the listing and the look it may have gone.
    if (calls.stat(rows, there.length, directory, name)) there.push(name);
  }
  const { words } = rows;
  const isWhole = there.length === names.length;
  return {
    names: there.join('/'),
    words: isWhole ? words : words.slice(0, there.length * ROW_WORDS),
  };
}

/** As strings from Node, unless one of them is no UTF-8. */
function namesIn(path: string): string[] {
  const names = readdirSync(path, 'utf8');
  if (!names.some((name) => name.includes(REPLACEMENT))) return names;
  return readdirSync(path, { encoding: 'buffer' }).map(decodeName);
}

/** Stands for bytes that are no UTF-8; in a name for itself, too. */
const REPLACEMENT = '\ufffd';
