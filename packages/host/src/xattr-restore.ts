import { spawnSync } from 'node:child_process';
import { systemCode } from './errors.ts';
import type { SkippedPart } from './unpacking.ts';
import { formatDump, type XattrDump } from './xattr-dump.ts';

/**
 * Sets extended attributes below a directory by one run of setfattr(1), symbolic links not
 * followed. Gives what could not be set: `trusted.*` needs root, and not every file system has any.
 */
export function restoreXattrs(directory: string, dump: XattrDump): SkippedPart[] {
  const { status, stderr, error } = spawnSync('setfattr', ['--no-dereference', '--restore=-'], {
    cwd: directory,
    input: formatDump(dump),
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, LC_ALL: 'C' },
  });
  if (systemCode(error) === 'ENOENT')
    return allSkipped(dump, 'setfattr is not installed (Debian: attr)');
  if (error) return allSkipped(dump, error.message);
  if (status === 0) return [];
  return stderr
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ({ path: '', reason: line.replace(/^setfattr: /, 'extended attributes: ') }));
}

function allSkipped(dump: XattrDump, reason: string): SkippedPart[] {
  return [...dump.keys()].map((path) => ({ path, reason: `extended attributes: ${reason}` }));
}
