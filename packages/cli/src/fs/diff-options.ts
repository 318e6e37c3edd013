import type { Aspect } from '@anole/vfs';
import type { Command } from 'commander';

/** What trees are compared by. */
export const aspects: Readonly<Record<Aspect, true>> = {
  content: true,
  links: true,
  mode: true,
  mtime: true,
  owner: true,
  presence: true,
  rdev: true,
  size: true,
  target: true,
  type: true,
  xattr: true,
};

/** The options of a command that compares. */
export function withDiffOptions(command: Command): Command {
  const gather = (value: string, before: readonly string[] = []) => [...before, value];
  return command
    .option('--ignore <names>', `some of: ${Object.keys(aspects).join(' ')}`, gather)
    .option(
      '--times <unit>',
      'compare times by nanoseconds, microseconds or seconds',
      'nanoseconds',
    )
    .option('--exclude <path>', 'leave out a path with all below it', gather)
    .option('--brief', 'print names only')
    .option('--hashes', 'print SHA-256 of contents that differ');
}
