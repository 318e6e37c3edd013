import type { CallOptions } from '@anole/bytes';
import { openArchive } from '../archive/open.ts';
import type {
  Archive,
  ArchiveRequest,
  PackageIndex,
  PackagePool,
  PackageRecord,
} from '../archive/types.ts';
import { type Lock, makeLock } from '../recipe/lock.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { solve } from '../solve/solve.ts';
import { BuildError } from './errors.ts';

/** Where packages come from and where they are kept: see ArchiveRequest. */
export type Sources = Pick<ArchiveRequest, 'mirror' | 'keyring' | 'cache' | 'offline'> &
  CallOptions;

/** A lock that was made just now, and the archive it was made from. */
export interface Resolved {
  readonly lock: Lock;
  readonly pool: PackagePool;
  /** Optional suites that were not found, as sentences for the user. */
  readonly notes: readonly string[];
}

/**
 * Asks the archive which packages a recipe comes to today.
 *
 * @throws ArchiveError, SolveError; BuildError `BUILD_NO_KERNEL`
 */
export async function resolveRecipe(recipe: Recipe, sources: Sources): Promise<Resolved> {
  const { suites, components, architecture } = recipe;
  const archive = await openArchive({ ...sources, suites, components, architecture });
  const { packages } = solve(archive.packages, {
    packages: recipe.packages,
    essential: recipe.essential,
    recommends: recipe.recommends,
    exclude: recipe.withoutPackages,
  });
  const kernel = recipe.kernelPackage && findKernel(archive.packages, recipe.kernelPackage);
  const lock = makeLock(recipe, archive.releases, packages, kernel || undefined);
  return { lock, pool: archive, notes: notesOf(archive) };
}

/** The package that holds the kernel: the named one, or the one that a meta-package depends on. */
function findKernel(index: PackageIndex, name: string): PackageRecord {
  const named = index.get(name);
  for (const [dependency] of named?.depends ?? []) {
    if (!dependency?.name.startsWith('linux-image-')) continue;
    const found = index.get(dependency.name, dependency.version);
    if (found !== undefined) return found;
  }
  if (named !== undefined) return named;
  throw new BuildError('BUILD_NO_KERNEL', `Cannot find the kernel: there is no package ${name}`, {
    hint: "Correct the recipe's kernel, or leave it out and give one to the sandbox.",
  });
}

function notesOf({ missing }: Archive): string[] {
  return missing.map(({ suite, reason }) => `the optional suite ${suite} is not used: ${reason}`);
}
