import { isAbsolute } from 'node:path';
import * as v from 'valibot';
import { parse, stringify } from 'yaml';
import type { PackageFile, Release } from '../archive/types.ts';
import { RecipeError } from './errors.ts';
import type { Recipe } from './recipe.ts';

const LOCK_VERSION = 1;
const SIZE_LIMIT = 64 * 1024 * 1024;

const text = v.pipe(v.string(), v.minLength(1), v.maxLength(4096));
const packageSchema = v.object({
  name: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9+.-]+$/)),
  version: text,
  architecture: text,
  suite: text,
  filename: v.pipe(
    text,
    v.check((path) => !isAbsolute(path) && !path.split('/').includes('..')),
  ),
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
});
const requestSchema = v.object({
  suites: v.array(text),
  components: v.array(text),
  essential: v.boolean(),
  recommends: v.boolean(),
  packages: v.array(text),
  withoutPackages: v.array(text),
  kernel: v.optional(text),
});
const lockSchema = v.object({
  version: v.literal(LOCK_VERSION),
  recipe: text,
  architecture: text,
  request: requestSchema,
  suites: v.array(
    v.object({ name: text, version: v.string(), date: v.pipe(v.string(), v.isoTimestamp()) }),
  ),
  packages: v.array(packageSchema),
  kernel: v.optional(packageSchema),
});

/** What a recipe asked an archive for: when it differs, the lock is out of date. */
export type LockRequest = v.InferOutput<typeof requestSchema>;

/** The exact packages that a recipe came to: the same lock gives the same image, byte for byte. */
export interface Lock {
  readonly version: typeof LOCK_VERSION;
  readonly recipe: string;
  readonly architecture: string;
  readonly request: LockRequest;
  /** The suites as they were: version such as `13.7`, date of their Release file (ISO 8601). */
  readonly suites: readonly {
    readonly name: string;
    readonly version: string;
    readonly date: string;
  }[];
  /** In the order of installation. */
  readonly packages: readonly PackageFile[];
  readonly kernel?: PackageFile;
}

export function requestOf(recipe: Recipe): LockRequest {
  const { components, essential, recommends, packages, withoutPackages, kernelPackage } = recipe;
  return {
    suites: recipe.suites.map(({ name }) => name),
    components: [...components],
    essential,
    recommends,
    packages: [...packages].sort(),
    withoutPackages: [...withoutPackages].sort(),
    ...(kernelPackage === undefined ? {} : { kernel: kernelPackage }),
  };
}

export function makeLock(
  recipe: Recipe,
  releases: readonly Release[],
  packages: readonly PackageFile[],
  kernel: PackageFile | undefined,
): Lock {
  const suites = releases.map(({ suite, version, date }) => {
    return { name: suite, version, date: new Date(date * 1000).toISOString() };
  });
  return {
    version: LOCK_VERSION,
    recipe: recipe.name,
    architecture: recipe.architecture,
    request: requestOf(recipe),
    suites,
    packages: packages.map(fileOf),
    ...(kernel === undefined ? {} : { kernel: fileOf(kernel) }),
  };
}

/** Seconds since 1970 that an image of this lock is dated: when its newest suite was released. */
export function lockDate(lock: Lock): number {
  const dates = lock.suites.map(({ date }) => Math.floor(Date.parse(date) / 1000));
  return Math.max(0, ...dates);
}

export function writeLock(lock: Lock): string {
  const comment = `# The exact packages of the recipe ${lock.recipe}, written by "anole os lock".\n`;
  return comment + stringify(lock, { lineWidth: 0 });
}

/** @throws RecipeError `LOCK_INVALID` */
export function parseLock(content: string, file: string): Lock {
  const lock = v.safeParse(
    lockSchema,
    content.length > SIZE_LIMIT ? undefined : parseYaml(content),
  );
  if (!lock.success) {
    const [issue] = lock.issues;
    const where = issue.path?.map(({ key }) => String(key)).join('.') ?? 'the whole file';
    throw new RecipeError(
      'LOCK_INVALID',
      `Cannot use the lock ${file}: ${where}: ${issue.message}`,
      {
        details: { file },
        hint: 'Write it anew with "anole os lock".',
      },
    );
  }
  const { version, recipe, architecture, request, suites, packages, kernel } = lock.output;
  const { kernel: kernelName, ...asked } = request;
  // In the order of makeLock, so that a lock that is read and written stays the same.
  return {
    version,
    recipe,
    architecture,
    request: { ...asked, ...(kernelName === undefined ? {} : { kernel: kernelName }) },
    suites,
    packages,
    ...(kernel === undefined ? {} : { kernel }),
  };
}

/** What differs between what a lock was made for and what the recipe asks now; empty when nothing. */
export function lockDrift(lock: Lock, recipe: Recipe): readonly string[] {
  const lines: string[] = [];
  if (lock.architecture !== recipe.architecture) {
    lines.push(`architecture: ${lock.architecture} is locked, ${recipe.architecture} is wanted`);
  }
  const now = requestOf(recipe);
  for (const key of ['suites', 'components', 'packages', 'withoutPackages'] as const) {
    const [before, after] = [new Set(lock.request[key]), new Set(now[key])];
    for (const name of after) if (!before.has(name)) lines.push(`${key}: + ${name}`);
    for (const name of before) if (!after.has(name)) lines.push(`${key}: - ${name}`);
  }
  for (const key of ['essential', 'recommends', 'kernel'] as const) {
    const [before, after] = [lock.request[key], now[key]];
    if (before !== after)
      lines.push(`${key}: ${before ?? 'none'} is locked, ${after ?? 'none'} is wanted`);
  }
  return lines;
}

/** What changed from one lock to another, a package a line: `+ new`, `- gone`, `~ old -> new`. */
export function compareLocks(before: Lock | undefined, after: Lock): readonly string[] {
  const versions = (lock: Lock | undefined) => {
    const files = [...(lock?.packages ?? []), ...(lock?.kernel ? [lock.kernel] : [])];
    return new Map(files.map(({ name, version }) => [name, version]));
  };
  const [old, now] = [versions(before), versions(after)];
  const lines: string[] = [];
  for (const name of [...new Set([...old.keys(), ...now.keys()])].sort()) {
    const [from, to] = [old.get(name), now.get(name)];
    if (from === undefined) lines.push(`+ ${name} ${to}`);
    else if (to === undefined) lines.push(`- ${name} ${from}`);
    else if (from !== to) lines.push(`~ ${name} ${from} -> ${to}`);
  }
  return lines;
}

function parseYaml(content: string): unknown {
  try {
    return parse(content, { maxAliasCount: 0 });
  } catch {
    return undefined;
  }
}

function fileOf(file: PackageFile): PackageFile {
  const { name, version, architecture, suite, filename, size, sha256 } = file;
  return { name, version, architecture, suite, filename, size, sha256 };
}
