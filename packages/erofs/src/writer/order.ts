import type { Inode } from './inode.ts';
import type { WantedFile, WantedRanges } from './options.ts';

/**
 * Inodes with those of some paths before the others, behind the root: inodes and data are laid out in
 * this order.
 *
 * @param first paths without a leading slash
 */
export function inOrder(
  inodes: readonly Inode[],
  first: readonly (string | WantedFile)[] | undefined,
): readonly Inode[] {
  if (first === undefined || first.length === 0) return inodes;
  const paths = first.map((each) => (typeof each === 'string' ? each : each.path));
  const ranks = new Map<string, number>(paths.map((path, rank) => [`/${path}`, rank]));
  const rank = new Map<Inode, number>();
  const [root, ...others] = inodes;
  for (const inode of others) {
    if (inode.type !== 'file') continue;
    const found = ranks.get(inode.path);
    if (found !== undefined) rank.set(inode, found);
  }
  const wanted = [...rank.keys()].sort((a, b) => rank.get(a)! - rank.get(b)!);
  return [root!, ...wanted, ...others.filter((inode) => !rank.has(inode))];
}

/** What is wanted of files, where not all is. */
export function rangesOf(
  first: readonly (string | WantedFile)[] | undefined,
): WantedRanges | undefined {
  const cut = first?.filter((each) => typeof each !== 'string');
  if (cut === undefined || cut.length === 0) return undefined;
  return new Map(cut.map(({ path, ranges }) => [`/${path}`, ranges]));
}
