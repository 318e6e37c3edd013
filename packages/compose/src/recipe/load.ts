import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hostError, systemCode } from '@anole/host';
import { RecipeError } from './errors.ts';
import { parseRecipe } from './parse.ts';
import { type LoadedFile, mergeRecipes, type Recipe } from './recipe.ts';

/** Recipes that come with this package. */
export const builtInDirectory = fileURLToPath(new URL('../../recipes/', import.meta.url));
const DEPTH_LIMIT = 16;

export interface LoadOptions {
  /** In the place of the recipe's own. */
  readonly architecture?: string;
}

/** A recipe's file: a path where the name has a slash or ends in .yaml, else a built-in one. */
export function recipePath(name: string, base = process.cwd()): string {
  if (/[/\\]|\.ya?ml$/.test(name)) return resolve(base, name);
  return join(builtInDirectory, `${name}.yaml`);
}

/**
 * Reads a recipe with all that it extends.
 *
 * @param name of a built-in recipe (`base`), or a path of a recipe file (`./web.yaml`)
 * @throws RecipeError `RECIPE_NOT_FOUND`, `RECIPE_INVALID`, `RECIPE_BAD_EXTENDS`,
 * `RECIPE_BAD_ARCHITECTURE`
 */
export async function loadRecipe(name: string, options: LoadOptions = {}): Promise<Recipe> {
  const chain: LoadedFile[] = [];
  let path = recipePath(name);
  const isBuiltIn = dirname(path) === resolve(builtInDirectory);
  for (let wanted = name; ; ) {
    const contents = parseRecipe(await readRecipe(path, wanted), path);
    if (chain.some((one) => one.path === path) || chain.length === DEPTH_LIMIT) {
      throw badExtends([...chain.map((one) => one.path), path]);
    }
    chain.unshift({ path, base: dirname(path), contents });
    if (contents.extends === undefined) break;
    wanted = contents.extends;
    path = recipePath(wanted, dirname(path));
  }
  const shortName = basename(chain.at(-1)!.path).replace(/\.ya?ml$/, '');
  return mergeRecipes(chain, shortName, isBuiltIn, options.architecture);
}

/** Names of the built-in recipes, sorted. */
export async function listRecipes(): Promise<string[]> {
  const files = await readdir(builtInDirectory);
  return files
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => file.slice(0, -5))
    .sort();
}

async function readRecipe(path: string, name: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw hostError(error, `read the recipe ${path}`);
    const names = await listRecipes();
    throw new RecipeError(
      'RECIPE_NOT_FOUND',
      `Cannot find the recipe ${name}: there is no ${path}`,
      {
        hint: `Built-in recipes are ${names.join(', ')}; a file is named with a slash or .yaml.`,
      },
    );
  }
}

function badExtends(paths: readonly string[]): RecipeError {
  return new RecipeError(
    'RECIPE_BAD_EXTENDS',
    `Cannot read the recipe: it extends itself, or too many others: ${paths.toReversed().join(' < ')}`,
  );
}
