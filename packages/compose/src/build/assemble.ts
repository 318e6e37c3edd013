import type { CallOptions } from '@anole/bytes';
import type { UnpackedPackage } from '../package/unpacked.ts';
import { compileExclude } from '../recipe/exclude.ts';
import { type Lock, lockDate } from '../recipe/lock.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { writeDpkgDatabase } from '../replay/dpkg-database.ts';
import { archiveLocale } from '../replay/locale-archive.ts';
import { placePackage } from '../replay/place.ts';
import { type InstalledPackage, replayScripts, type ScriptReport } from '../replay/replay.ts';
import { Rootfs } from '../replay/rootfs.ts';
import { addUsers, completeSystem, placeFiles, type ReadFile } from './customize.ts';

/** A root file system, whose contents lie in the cache as long as its packages are open. */
export interface Assembled {
  readonly rootfs: Rootfs;
  /** What became of each maintainer script. */
  readonly scripts: readonly ScriptReport[];
}

/**
 * Puts a root file system together from unpacked packages. Everything comes from the lock, the
 * recipe and the packages: no clock, no name of this machine.
 *
 * @param packages those of the lock, in its order
 */
export async function assemble(
  recipe: Recipe,
  lock: Lock,
  packages: readonly UnpackedPackage[],
  files: readonly ReadFile[],
  options: CallOptions = {},
): Promise<Assembled> {
  const rootfs = Rootfs.empty(lockDate(lock));
  const exclude = compileExclude(recipe.exclude);
  const installed = lock.packages.map(({ name }, index) => ({ name, unpacked: packages[index]! }));
  for (const { unpacked } of baseFirst(installed)) placePackage(rootfs, unpacked, exclude);
  // Before the scripts, which keep what is there; and after them, so that the recipe has the last word.
  placeFiles(rootfs, files);
  const { context, reports } = await replayScripts(rootfs, installed, lock.architecture, {
    ...options,
    beforeWriting: ({ accounts }) => addUsers(rootfs, accounts, recipe),
  });
  await writeDpkgDatabase(rootfs, installed, context.diversions, lock.architecture);
  placeFiles(rootfs, files);
  completeSystem(rootfs, recipe);
  await archiveLocale(rootfs, recipe.environment.LANG);
  return { rootfs, scripts: reports };
}

/** base-files has the links /bin, /lib and so on, through which other packages' files are placed. */
function baseFirst(installed: readonly InstalledPackage[]): InstalledPackage[] {
  const isBase = ({ name }: InstalledPackage) => name === 'base-files';
  return [...installed.filter(isBase), ...installed.filter((one) => !isBase(one))];
}
