import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cacheDirectory, hostError, systemCode, writeFileAtomically } from '@anole/host';
import { ArchiveError } from '../archive/errors.ts';
import { openPool } from '../archive/open.ts';
import type { PackagePool } from '../archive/types.ts';
import { RecipeError } from '../recipe/errors.ts';
import { type Lock, lockDrift, parseLock, writeLock } from '../recipe/lock.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { type Resolved, resolveRecipe, type Sources } from './resolve.ts';

export interface LockOptions extends Sources {
  /** Uses the lock as it is, or not at all. */
  readonly locked?: boolean;
  /** The lock file, in the place of the recipe's own. */
  readonly lockFile?: string;
}

/**
 * Where a recipe's lock is: beside a recipe file, to be kept with it; of a built-in recipe in the
 * cache. See docs/decisions/0057-where-locks-live.md.
 */
export function lockPath(recipe: Recipe, options: LockOptions = {}): string {
  if (options.lockFile !== undefined) return options.lockFile;
  const name = `${recipe.name}.${recipe.architecture}.lock.yaml`;
  if (!recipe.isBuiltIn) return join(dirname(recipe.sources[0] ?? '.'), name);
  return join(options.cache ?? cacheDirectory(), 'locks', name);
}

/** The lock of a recipe, or undefined where there is none. @throws RecipeError `LOCK_INVALID` */
export async function readLock(
  recipe: Recipe,
  options: LockOptions = {},
): Promise<Lock | undefined> {
  const path = lockPath(recipe, options);
  try {
    return parseLock(await readFile(path, 'utf8'), path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw hostError(error, `read the lock ${path}`);
  }
}

/** Resolves a recipe anew and writes its lock. */
export async function updateLock(recipe: Recipe, options: LockOptions = {}): Promise<Resolved> {
  const resolved = await resolveRecipe(recipe, options);
  await writeFileAtomically(lockPath(recipe, options), writeLock(resolved.lock));
  return resolved;
}

/**
 * The lock to build from: the one that is there if it fits the recipe, else a new one.
 *
 * @throws RecipeError `LOCK_MISSING`, `LOCK_DRIFT` when `locked` forbids a new one
 */
export async function useLock(recipe: Recipe, options: LockOptions = {}): Promise<Resolved> {
  const lock = await readLock(recipe, options);
  const drift = lock && lockDrift(lock, recipe);
  if (lock !== undefined && drift?.length === 0) {
    return { lock, pool: lazyPool(recipe, options), notes: [] };
  }
  if (options.locked) throw notLocked(recipe, lockPath(recipe, options), drift);
  return updateLock(recipe, options);
}

/**
 * Does some work with the lock of a recipe. An archive drops the versions that it replaces: where the
 * lock of a built-in recipe names one that is gone, the work is done again with a new lock.
 *
 * @throws ArchiveError `ARCHIVE_NOT_FOUND` for locks that are the user's own
 */
export async function withLocked<T>(
  recipe: Recipe,
  options: LockOptions,
  work: (resolved: Resolved) => Promise<T>,
): Promise<T> {
  const resolved = await useLock(recipe, options);
  try {
    return await work(resolved);
  } catch (error) {
    if (!(error instanceof ArchiveError) || error.code !== 'ARCHIVE_NOT_FOUND') throw error;
    const isOurs = recipe.isBuiltIn && options.lockFile === undefined && !options.locked;
    if (!isOurs) throw goneFromArchive(recipe, error);
    return work(await updateLock(recipe, options));
  }
}

function goneFromArchive(recipe: Recipe, error: ArchiveError): ArchiveError {
  return new ArchiveError('ARCHIVE_NOT_FOUND', error.message, {
    cause: error,
    details: error.details,
    hint: `The archive may have newer versions than the lock: try "anole os lock ${lockName(recipe)}".`,
  });
}

function lockName(recipe: Recipe): string {
  return recipe.isBuiltIn ? recipe.name : (recipe.sources[0] ?? recipe.name);
}

/** Looks for a mirror only when a file is wanted: a cache that has them all needs none. */
function lazyPool(recipe: Recipe, options: LockOptions): PackagePool {
  let opened: Promise<PackagePool> | undefined;
  const pool = () => {
    opened ??= openPool({ ...options, suites: recipe.suites });
    return opened;
  };
  return {
    fetch: async (file, call) => (await pool()).fetch(file, call),
    fetchAll: async (files, call) => (await pool()).fetchAll(files, call),
  };
}

function notLocked(
  recipe: Recipe,
  path: string,
  drift: readonly string[] | undefined,
): RecipeError {
  const hint = `Write the lock with "anole os lock ${lockName(recipe)}".`;
  if (drift === undefined) {
    return new RecipeError(
      'LOCK_MISSING',
      `Cannot build ${recipe.name}: there is no lock ${path}`,
      { hint },
    );
  }
  const lines = drift.map((line) => `\n  ${line}`).join('');
  return new RecipeError(
    'LOCK_DRIFT',
    `Cannot build ${recipe.name}: the lock ${path} does not fit the recipe:${lines}`,
    { hint, details: { drift: [...drift] } },
  );
}
