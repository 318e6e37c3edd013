import { createHash } from 'node:crypto';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { CompressionOptions } from '@anole/erofs';
import { cacheDirectory, systemCode, withLock } from '@anole/host';
import { PackageStore } from '../package/store.ts';
import { type Lock, lockDate } from '../recipe/lock.ts';
import type { Recipe } from '../recipe/recipe.ts';
import type { ScriptReport } from '../replay/replay.ts';
import { assemble } from './assemble.ts';
import { type ReadFile, readFiles } from './customize.ts';
import { type LockOptions, lockPath, withLocked } from './lock-file.ts';
import { checkOutput, type Format, writeTree } from './output.ts';
import type { Resolved } from './resolve.ts';

/**
 * Counts up whenever the same lock and recipe give another image than before: a new replay, a new
 * layout. Images of the cache are named by it.
 */
const IMAGE_VERSION = 3;

export interface BuildOptions extends LockOptions {
  /** Default `erofs`. */
  readonly format?: Format;
  /** How the files of an EROFS image are compressed. Not unless given. */
  readonly compression?: CompressionOptions;
}

export interface BuildResult {
  readonly path: string;
  readonly format: Format;
  readonly lock: Lock;
  readonly lockPath: string;
  /** What became of each maintainer script. */
  readonly scripts: readonly ScriptReport[];
  /** What the user should know: suites that are missing, files that could not be written. */
  readonly notes: readonly string[];
}

/**
 * Makes an image of a recipe at a path. What is there is replaced, a directory must be empty; when
 * the call fails, nothing is left.
 *
 * @throws RecipeError, ArchiveError, SolveError, PackageError, BuildError, HostError
 * @example
 * const recipe = await loadRecipe('base', { architecture: 'riscv64' });
 * const { lock } = await buildImage(recipe, 'base.erofs');
 */
export async function buildImage(
  recipe: Recipe,
  path: string,
  options: BuildOptions = {},
): Promise<BuildResult> {
  await checkOutput(options.format ?? 'erofs', path);
  const files = await readFiles(recipe);
  return withLocked(recipe, options, (resolved) =>
    buildFrom(recipe, resolved, files, path, options),
  );
}

async function buildFrom(
  recipe: Recipe,
  { lock, pool, notes }: Resolved,
  files: readonly ReadFile[],
  path: string,
  options: BuildOptions,
): Promise<BuildResult> {
  const { format = 'erofs', cache = cacheDirectory() } = options;
  const store = new PackageStore(join(cache, 'unpacked'));
  await using opened = await store.open(
    lock.packages,
    (missing) => pool.fetchAll(missing, options),
    options,
  );
  const { rootfs, scripts } = await assemble(recipe, lock, opened.packages, files, options);
  const { name, environment } = recipe;
  const facts = { name, environment, architecture: lock.architecture, created: lockDate(lock) };
  const outputNotes = await writeTree(rootfs.tree, format, path, facts, options);
  return {
    path,
    format,
    lock,
    lockPath: lockPath(recipe, options),
    scripts,
    notes: [...notes, ...outputNotes],
  };
}

/**
 * The EROFS image of a recipe in the cache, made if it is not there: two recipes and locks that
 * say the same share one.
 */
export async function cachedImage(recipe: Recipe, options: LockOptions = {}): Promise<BuildResult> {
  const files = await readFiles(recipe);
  return withLocked(recipe, options, async (resolved) => {
    const cache = options.cache ?? cacheDirectory();
    const { lock, notes } = resolved;
    const key = imageKey(recipe, lock, files);
    const path = join(cache, 'images', `${recipe.name}-${recipe.architecture}-${key}.erofs`);
    const found = async (): Promise<BuildResult | undefined> => {
      if (!(await exists(path))) return undefined;
      return {
        path,
        format: 'erofs',
        lock,
        lockPath: lockPath(recipe, options),
        scripts: [],
        notes,
      };
    };
    const make = async () => {
      const there = await found();
      return there ?? buildFrom(recipe, resolved, files, path, { ...options, format: 'erofs' });
    };
    const { signal } = options;
    const lockName = join(cache, 'locks', `image-${key}`);
    return (await found()) ?? withLock(lockName, make, signal === undefined ? {} : { signal });
  });
}

/** Names an image by all that it is made from. */
export function imageKey(recipe: Recipe, lock: Lock, files: readonly ReadFile[]): string {
  const { exclude, hostname, environment, users } = recipe;
  const contents = files.map(({ bytes, base: _base, ...file }) => {
    return [file, bytes && createHash('sha256').update(bytes).digest('hex')];
  });
  const made = [
    IMAGE_VERSION,
    lock.architecture,
    lock.suites,
    lock.packages.map(({ name, sha256 }) => [name, sha256]),
    { exclude, hostname, environment, users },
    contents,
  ];
  return createHash('sha256').update(JSON.stringify(made)).digest('hex').slice(0, 32);
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}
