import { writeFile } from 'node:fs/promises';
import type { BuildOptions, BuildResult, Lock, Recipe, ScriptReport } from '@anole/compose';
import { Command, Option } from 'commander';
import type { CommandContext } from '../context.ts';
import { act, usageError } from '../frame.ts';

interface SourceFlags {
  readonly arch?: string;
  readonly mirror?: string;
  readonly keyring?: string;
  readonly lock?: string;
}

interface BuildFlags extends SourceFlags {
  readonly locked?: boolean;
  readonly output?: string;
  readonly format: 'erofs' | 'tar' | 'dir' | 'oci';
  readonly compress?: string;
  readonly pclusterSize?: string;
  readonly features?: readonly string[];
  readonly threads?: string;
}

const recipeHelp = `
RECIPE is the name of a built-in recipe (anole os list) or a path of a recipe file: with a slash
or ending in .yaml.`;

/** `anole os`: make images of Debian packages from recipes. */
export function osCommand(): Command {
  const os = new Command('os').description('make OS images from recipes of Debian packages');
  os.addCommand(buildCommand());
  os.addCommand(lockCommand());
  os.addCommand(listCommand());
  os.addCommand(showCommand());
  return os;
}

function buildCommand(): Command {
  return withSources(new Command('build'))
    .description('make the image of a recipe')
    .option('--locked', 'use the lock as it is; fail where it does not fit the recipe')
    .option(
      '-o, --output <path>',
      'file or directory to write; without it the image stays in the cache',
    )
    .addOption(
      new Option('--format <format>', 'what to write')
        .choices(['erofs', 'tar', 'dir', 'oci'])
        .default('erofs'),
    )
    .option(
      '-z, --compress <name[,level=N]>',
      'of an EROFS image: lz4, lz4hc, lzma, zstd or deflate',
    )
    .option('-C, --pcluster-size <bytes>', 'compress to units of so many, up to 1048576')
    .option('-E, --features <name>', 'ztailpacking, fragments, all-fragments, dedupe', collect)
    .option('--threads <count>', 'that compress (default: one for each core, at most 8)')
    .addHelpText(
      'after',
      `${recipeHelp}

The exact packages are taken from the recipe's lock, which is written where there is none or where
it no longer fits. The same lock gives the same bytes.

Examples:
  anole os build base -o base.erofs
  anole os build base -o base.erofs -z zstd,level=9 -C 65536
  anole os build ./web.yaml --arch amd64 --format tar -o web.tar
  anole os build base --format oci -o base && anole image copy oci:base docker://HOST/base:1
  anole os build ./web.yaml --locked -o web.erofs`,
    )
    .action(act(build));
}

const collect = (value: string, before: readonly string[] = []) => [...before, value];

function lockCommand(): Command {
  return withSources(new Command('lock'))
    .description("write a recipe's lock from what the archive has today")
    .option('-o, --output <file>', 'write the lock here as well')
    .addHelpText(
      'after',
      `${recipeHelp}

The lock of a recipe file lies beside it (NAME.ARCH.lock.yaml): keep it with the recipe. Locks of
built-in recipes lie in the cache; take a copy with -o.

Examples:
  anole os lock base
  anole os lock ./web.yaml --arch arm64`,
    )
    .action(act(lock));
}

function listCommand(): Command {
  return new Command('list')
    .description('list the built-in recipes')
    .option('--json', 'print as JSON')
    .action(act(list));
}

function showCommand(): Command {
  return new Command('show')
    .description('show a recipe with all that it extends, and its lock')
    .argument('<recipe>', 'name or path of a recipe')
    .option('--arch <architecture>', 'riscv64, arm64 or amd64')
    .option('--lock <file>', "the lock file, instead of the recipe's own")
    .option('--json', 'print as JSON')
    .addHelpText('after', `${recipeHelp}\n\nExamples:\n  anole os show python`)
    .action(act(show));
}

function withSources(command: Command): Command {
  return command
    .argument('<recipe>', 'name or path of a recipe')
    .option('--arch <architecture>', "riscv64, arm64 or amd64; default: the recipe's")
    .option('--mirror <url>', "base of a Debian archive; default: this computer's own")
    .option('--keyring <file>', 'OpenPGP keys to trust instead of the Debian archive keyring')
    .option('--lock <file>', "the lock file, instead of the recipe's own")
    .option('--json', 'print the result as JSON');
}

async function build(context: CommandContext, name: string, flags: BuildFlags): Promise<number> {
  if (flags.output === undefined && flags.format !== 'erofs') {
    throw usageError(`Cannot keep the format ${flags.format} in the cache: give -o`, 'os build');
  }
  if (flags.compress !== undefined && (flags.output === undefined || flags.format !== 'erofs')) {
    throw usageError('Cannot compress but an EROFS image that is written: give -o', 'os build');
  }
  await using resources = new AsyncDisposableStack();
  const { compressionOf } = await import('../fs/compression.ts');
  const { output = '' } = flags;
  const compression = compressionOf({ ...flags, output }, resources, 'os build');
  const { buildImage, cachedImage, loadRecipe } = await import('@anole/compose');
  const recipe = await loadRecipe(name, architectureOf(flags));
  const options: BuildOptions = {
    ...sourceOptions(context, flags),
    format: flags.format,
    locked: flags.locked ?? false,
    ...(compression && { compression }),
  };
  const result =
    flags.output === undefined
      ? await cachedImage(recipe, options)
      : await buildImage(recipe, flags.output, options);
  context.endProgress();
  reportBuild(context, result);
  return 0;
}

function reportBuild(context: CommandContext, result: BuildResult): void {
  const { path, format, lock: made, lockPath, scripts, notes } = result;
  const open = scripts.filter(({ status }) => status === 'unknown' || status === 'changed');
  if (context.json) {
    const { architecture, packages } = made;
    const summary = { path, format, architecture, packages: packages.length, lock: lockPath };
    context.out(JSON.stringify({ ...summary, notes, scripts: open }));
    return;
  }
  for (const note of notes) context.err(`note: ${note}`);
  for (const script of open) context.err(`note: ${describeScript(script)}`);
  context.err(`${made.packages.length} packages for ${made.architecture}, locked by ${lockPath}`);
  context.out(path);
}

function describeScript({ package: name, script, status, does }: ScriptReport): string {
  if (status === 'changed') {
    return `the ${script} of ${name} has changed since it was reviewed; replayed as before (${does})`;
  }
  return `the ${script} of ${name} was not replayed, as it is not known: ${does}`;
}

async function lock(
  context: CommandContext,
  name: string,
  flags: SourceFlags & { readonly output?: string },
): Promise<number> {
  const compose = await import('@anole/compose');
  const recipe = await compose.loadRecipe(name, architectureOf(flags));
  const options = sourceOptions(context, flags);
  // A lock that cannot be read is no reason not to write a new one.
  const before = await compose.readLock(recipe, options).catch(() => undefined);
  const { lock: after, notes } = await compose.updateLock(recipe, options);
  if (flags.output !== undefined) await writeFile(flags.output, compose.writeLock(after));
  context.endProgress();
  const changes = compose.compareLocks(before, after);
  const path = compose.lockPath(recipe, options);
  if (context.json) {
    context.out(JSON.stringify({ lock: path, packages: after.packages.length, changes, notes }));
    return 0;
  }
  for (const note of notes) context.err(`note: ${note}`);
  if (before !== undefined) for (const change of changes) context.err(change);
  context.err(`${after.packages.length} packages, ${changes.length} changes`);
  context.out(path);
  return 0;
}

async function list(context: CommandContext): Promise<number> {
  const { listRecipes, loadRecipe } = await import('@anole/compose');
  const recipes = await Promise.all((await listRecipes()).map((name) => loadRecipe(name)));
  if (context.json) {
    context.out(JSON.stringify(recipes.map(({ name, description }) => ({ name, description }))));
    return 0;
  }
  const width = Math.max(...recipes.map(({ name }) => name.length));
  for (const { name, description } of recipes) context.out(`${name.padEnd(width)}  ${description}`);
  return 0;
}

async function show(context: CommandContext, name: string, flags: SourceFlags): Promise<number> {
  const { loadRecipe, lockDrift, lockPath, readLock } = await import('@anole/compose');
  const recipe = await loadRecipe(name, architectureOf(flags));
  const options = sourceOptions(context, flags);
  const locked = await readLock(recipe, options);
  const drift = locked === undefined ? [] : lockDrift(locked, recipe);
  const path = lockPath(recipe, options);
  if (context.json)
    context.out(JSON.stringify({ recipe, lockPath: path, lock: locked ?? null, drift }));
  else describeRecipe(context, recipe, path, locked, drift);
  return 0;
}

function describeRecipe(
  context: CommandContext,
  recipe: Recipe,
  path: string,
  locked: Lock | undefined,
  drift: readonly string[],
): void {
  const line = (label: string, value: string) => context.out(`${label.padEnd(14)}${value}`);
  line('name', recipe.name);
  line('description', recipe.description);
  line('files', recipe.sources.join(', '));
  line('architecture', recipe.architecture);
  line(
    'suites',
    recipe.suites.map((suite) => suite.name + (suite.optional ? ' (optional)' : '')).join(', '),
  );
  line(
    'packages',
    [...(recipe.essential ? ['all essential ones'] : []), ...recipe.packages].join(', '),
  );
  line('kernel', recipe.kernelPackage ?? 'none');
  line(
    'environment',
    Object.entries(recipe.environment)
      .map((pair) => pair.join('='))
      .join(' '),
  );
  if (locked === undefined) {
    line('lock', `${path} (not written yet)`);
    return;
  }
  line('lock', path);
  for (const change of drift) line('', `does not fit: ${change}`);
  const date = locked.suites
    .map(({ date: released }) => released)
    .sort()
    .at(-1);
  line('', `${locked.packages.length} packages, archive of ${date?.slice(0, 10)}`);
  for (const file of locked.packages) context.out(`  ${file.name} ${file.version}`);
}

function architectureOf({ arch }: SourceFlags) {
  return arch === undefined ? {} : { architecture: arch };
}

function sourceOptions(context: CommandContext, flags: SourceFlags) {
  return {
    signal: context.signal,
    onProgress: context.progress,
    ...(flags.mirror === undefined ? {} : { mirror: flags.mirror }),
    ...(flags.keyring === undefined ? {} : { keyring: flags.keyring }),
    ...(flags.lock === undefined ? {} : { lockFile: flags.lock }),
  };
}
