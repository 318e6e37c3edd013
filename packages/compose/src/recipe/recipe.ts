import { RecipeError } from './errors.ts';
import { type Architecture, architectures, type RecipeFile } from './schema.ts';

/** A recipe with all that it extends taken in, for one architecture. */
export interface Recipe {
  /** Of a built-in recipe its name, of a file its name without `.yaml`. */
  readonly name: string;
  readonly description: string;
  /** The files it was read from, the one asked for first. */
  readonly sources: readonly string[];
  readonly isBuiltIn: boolean;
  readonly architecture: Architecture;
  readonly suites: readonly { readonly name: string; readonly optional: boolean }[];
  readonly components: readonly string[];
  readonly essential: boolean;
  readonly recommends: boolean;
  readonly packages: readonly string[];
  readonly withoutPackages: readonly string[];
  readonly exclude: readonly string[];
  readonly hostname: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly users: NonNullable<RecipeFile['users']>;
  readonly files: readonly PlacedFile[];
  readonly kernelPackage: string | undefined;
}

/** One of a recipe's files, with the directory its `source` is relative to. */
export type PlacedFile = NonNullable<RecipeFile['files']>[number] & { readonly base: string };

/** A recipe file on its way to a {@link Recipe}. */
export interface LoadedFile {
  readonly path: string;
  /** Directory of the file. */
  readonly base: string;
  readonly contents: RecipeFile;
}

/**
 * Lays recipe files over each other. Single values of the later replace those of the earlier; lists
 * and maps are added to, but for suites and components, which are replaced as a whole.
 *
 * @param files the one extended by all first, the one asked for last
 * @throws RecipeError `RECIPE_INVALID` where nothing says where packages come from.
 */
export function mergeRecipes(
  files: readonly LoadedFile[],
  name: string,
  isBuiltIn: boolean,
  architecture?: string,
): Recipe {
  const all = files.map(({ contents }) => contents);
  const last = <K extends keyof RecipeFile>(key: K): RecipeFile[K] =>
    all.findLast((one) => one[key] !== undefined)?.[key];
  const unique = (key: 'packages' | 'without-packages' | 'exclude') => [
    ...new Set(all.flatMap((one) => one[key] ?? [])),
  ];
  const suites = last('suites');
  const components = last('components');
  if (suites === undefined || components === undefined) throw noSuites(name);
  const chosen = checkArchitecture(architecture ?? last('architecture') ?? 'riscv64');
  return {
    name,
    description: files.at(-1)?.contents.description ?? '',
    sources: files.map(({ path }) => path).reverse(),
    isBuiltIn,
    architecture: chosen,
    suites: suites.map((suite) =>
      typeof suite === 'string'
        ? { name: suite, optional: false }
        : { name: suite.name, optional: suite.optional ?? false },
    ),
    components,
    essential: last('essential') ?? true,
    recommends: last('recommends') ?? false,
    packages: unique('packages'),
    withoutPackages: unique('without-packages'),
    exclude: unique('exclude'),
    hostname: last('hostname') ?? 'anole',
    environment: Object.assign({}, ...all.map((one) => one.environment ?? {})),
    users: byKey(
      all.flatMap((one) => one.users ?? []),
      (user) => user.name,
    ),
    files: byKey(
      files.flatMap(({ base, contents }) =>
        (contents.files ?? []).map((file) => ({ ...file, base })),
      ),
      (file) => file.path,
    ),
    kernelPackage: last('kernel')?.package.replace('ARCH', chosen),
  };
}

export function checkArchitecture(name: string): Architecture {
  const found = architectures.find((one) => one === name);
  if (found !== undefined) return found;
  throw new RecipeError(
    'RECIPE_BAD_ARCHITECTURE',
    `Cannot make an image for ${JSON.stringify(name)}`,
    {
      hint: `Architectures are ${architectures.join(', ')}.`,
    },
  );
}

/** The last of those with the same key, at the place of the first. */
function byKey<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [keyOf(item), item])).values()];
}

function noSuites(name: string): RecipeError {
  return new RecipeError(
    'RECIPE_INVALID',
    `Cannot use the recipe ${name}: it names no suites and components`,
    {
      hint: 'Add "extends: base", or suites and components of its own.',
    },
  );
}
