import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { cacheDirectory, writeFileAtomically } from '@anole/host';
import type { Sources } from './resolve.ts';

/** What a sandbox needs to know of an image. */
export interface EnsuredImage {
  /** The EROFS image, in the cache: never write to it. */
  readonly path: string;
  /** The lock it was made from. */
  readonly lock: string;
  readonly name: string;
  /** Debian's name: `riscv64`. */
  readonly architecture: string;
  /** Variables of every command. */
  readonly environment: Readonly<Record<string, string>>;
  readonly hostname: string;
}

export interface EnsuredKernel {
  /** The file that boots, in the cache. */
  readonly path: string;
  /** As `uname -r` says. */
  readonly version: string;
}

export interface EnsureOptions extends Sources {
  readonly architecture?: string;
  /** Told what the user should know when an image is made: a suite that is missing. */
  readonly onNote?: (note: string) => void;
}

export interface KernelOptions extends EnsureOptions {
  /** As the name of {@link ensureImage}. */
  readonly recipe?: string;
}

/** A result with the files it follows from: it holds as long as they are what they were. */
interface Pointer<T> {
  readonly version: 1;
  readonly result: T;
  readonly files: readonly {
    readonly path: string;
    readonly size: number;
    readonly mtimeMs: number;
  }[];
}

/**
 * The image of a recipe, made if need be. When it was made before and neither the recipe nor its
 * lock has changed since, only a small file is read and a few are looked at: no network, no parser.
 *
 * @param name of a built-in recipe, or a path of a recipe file
 * @throws what `buildImage` throws
 * @example
 * const { path } = await ensureImage('base');
 */
export async function ensureImage(
  name: string,
  options: EnsureOptions = {},
): Promise<EnsuredImage> {
  return ensure('image', name, options, async () => {
    const { cachedImage, loadRecipe } = await import('./slow.ts');
    const recipe = await loadRecipe(name, options);
    const { path, lockPath, notes } = await cachedImage(recipe, options);
    for (const note of notes) options.onNote?.(note);
    const { architecture, environment, hostname } = recipe;
    const result = { path, lock: lockPath, name: recipe.name, architecture, environment, hostname };
    return { result, files: [path, lockPath, ...recipe.sources, ...sourcesOf(recipe)] };
  });
}

/**
 * The kernel of a recipe (default `base`), extracted if need be, likewise.
 *
 * @throws BuildError `BUILD_NO_KERNEL` and what `buildImage` throws
 */
export async function fetchKernel(options: KernelOptions = {}): Promise<EnsuredKernel> {
  const name = options.recipe ?? 'base';
  return ensure('kernel', name, options, async () => {
    const { cachedKernel, loadRecipe, lockPath } = await import('./slow.ts');
    const recipe = await loadRecipe(name, options);
    const result = await cachedKernel(recipe, options);
    return { result, files: [result.path, lockPath(recipe, options), ...recipe.sources] };
  });
}

/**
 * Modules of that kernel, as files, likewise. Ask for them before the kernel: where the archive has a
 * newer one, both are then of that.
 *
 * @param names in the order of the result: `virtio_net`
 * @throws as {@link fetchKernel}
 */
export async function fetchKernelModules(
  names: readonly string[],
  options: KernelOptions = {},
): Promise<readonly string[]> {
  const name = options.recipe ?? 'base';
  return ensure(`modules ${names.join()}`, name, options, async () => {
    const { cachedModules, loadRecipe, lockPath } = await import('./slow.ts');
    const recipe = await loadRecipe(name, options);
    const result = await cachedModules(recipe, names, options);
    return { result, files: [...result, lockPath(recipe, options), ...recipe.sources] };
  });
}

async function ensure<T>(
  kind: string,
  name: string,
  options: EnsureOptions,
  make: () => Promise<{ readonly result: T; readonly files: readonly string[] }>,
): Promise<T> {
  const cache = options.cache ?? cacheDirectory();
  // A path means another file elsewhere; a name means the same everywhere.
  const place = /[/\\]|\.ya?ml$/.test(name) ? resolve(name) : name;
  const key = createHash('sha256').update(
    JSON.stringify([kind, place, options.architecture ?? '']),
  );
  const path = join(cache, 'pointers', `${key.digest('hex').slice(0, 32)}.json`);
  const there = readPointer<T>(path);
  if (there !== undefined) return there;
  const { result, files } = await make();
  const pointer: Pointer<T> = { version: 1, result, files: files.map(look) };
  await writeFileAtomically(path, JSON.stringify(pointer));
  return result;
}

function readPointer<T>(path: string): T | undefined {
  try {
    const pointer: Pointer<T> = JSON.parse(readFileSync(path, 'utf8'));
    if (pointer.version !== 1) return undefined;
    const holds = pointer.files.every((file) => {
      const { size, mtimeMs } = statSync(file.path);
      return size === file.size && mtimeMs === file.mtimeMs;
    });
    return holds ? pointer.result : undefined;
  } catch {
    // Missing or damaged, or a file it follows from is gone: all mean that it must be made anew.
    return undefined;
  }
}

function look(path: string) {
  const { size, mtimeMs } = statSync(path);
  return { path, size, mtimeMs };
}

function sourcesOf(recipe: { readonly files: readonly object[] }): string[] {
  return recipe.files.flatMap((file) => {
    const { source, base } = file as { source?: string; base?: string };
    return source === undefined || base === undefined ? [] : [join(base, source)];
  });
}
