import { realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { usageError } from '../frame.ts';
import { isUrl } from './image.ts';

/** A file, and the option that names it. Neither what is absent, nor `-`, nor a URL is a file here. */
export type NamedFile = readonly [option: string, path: string | undefined];

/**
 * Refuses files to be written of which one would take another's place, or that of a file that is read; and
 * those that would lie in a directory that is read, where they would become a part of themselves.
 *
 * @throws AnoleError of wrong usage
 */
export function checkPlaces(written: readonly NamedFile[], read: readonly NamedFile[]): void {
  const taken = new Map<string, string>();
  for (const [option, path] of filesOf(read)) taken.set(realpathOf(path) ?? placeOf(path), option);
  const directories = [...taken].filter(([path]) => isDirectory(path));
  for (const [option, path] of filesOf(written)) {
    const place = placeOf(path);
    const other = taken.get(place);
    if (other !== undefined) {
      throw usageError(`Cannot use ${path} for ${option} and ${other}: give two files`, 'fs mk');
    }
    for (const [directory, name] of directories) {
      if (!place.startsWith(directory.endsWith(sep) ? directory : directory + sep)) continue;
      const why = `it lies in ${name}: give a file outside of that`;
      throw usageError(`Cannot use ${path} for ${option}: ${why}`, 'fs mk');
    }
    taken.set(place, option);
  }
}

function filesOf(files: readonly NamedFile[]): (readonly [string, string])[] {
  return files.flatMap(([option, path]) =>
    path === undefined || path === '-' || isUrl(path) ? [] : [[option, path] as const],
  );
}

/** Where a file appears that is made under a name: a link of that name is replaced, not followed. */
function placeOf(path: string): string {
  const directory = dirname(resolve(path));
  return join(realpathOf(directory) ?? directory, basename(path));
}

function realpathOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
