// `npm run bundle`, and after `npm ci`: the command's modules as a few files. Three hundred of them take
// longer to load than all that `anole run` does with them. See docs/decisions/0066.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { stampOfFiles } from '../packages/sandbox/src/engine/stamp-of-files.ts';

const root = realpathSync(join(import.meta.dirname, '..'));
/** Where `packages/cli/bin/anole.js` looks. */
const directory = join(root, 'node_modules/.cache/anole-bundle');
/**
 * What is started on its own: the command, and threads. Each with what it loads together: a file takes Node a
 * millisecond to find, so what is always loaded is one file, and the rest waits until it is imported.
 */
const entries: Readonly<Record<string, readonly (readonly string[])[]>> = {
  'packages/cli/src/main.ts': [
    ['packages/cli/src/main.ts', 'packages/sandbox/src/engine/threads.ts'],
    ['packages/cli/src/commands/run.ts'],
  ],
  'packages/cli/src/fs/unpack-worker.ts': [],
  'packages/compose/src/compress/compress-worker.ts': [],
  'packages/compose/src/compress/source-worker.ts': [],
  'packages/machine/src/harts/hart-worker.ts': [],
  'packages/machine/src/hart/jit/compile-worker.ts': [],
  'packages/sandbox/src/engine/machine-worker.ts': [],
};

type OutputChunk = import('rolldown').OutputChunk;
type Make = typeof import('rolldown').rolldown;

const { rolldown } = await import('rolldown').catch(() => ({ rolldown: undefined }));
if (rolldown === undefined)
  console.error('bundle: rolldown is not installed; sources run as they are');
else await bundle(rolldown);

async function bundle(make: Make): Promise<void> {
  const modules = new Set<string>();
  const temporary = `${directory}.${process.pid}`;
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  const names = Object.keys(entries);
  // One by one: what two of them have in common would become many small files.
  for (const [at, entry] of names.entries()) {
    await bundleEntry(make, { entry, name: `entry${at}`, to: temporary, modules });
  }
  for (const name of readdirSync(temporary)) inAscii(join(temporary, name));
  const stamps = [...modules].sort().map((path) => {
    const { size, mtimeMs } = statSync(path);
    return [relative(root, path), size, Math.floor(mtimeMs)] as const;
  });
  const files = names.map((entry, at) => {
    const url = (path: string) => pathToFileURL(path).href;
    return [url(join(root, entry)), url(join(directory, `entry${at}.mjs`))] as const;
  });
  const index = {
    root,
    entries: Object.fromEntries(files),
    stamps,
    machine: stampOfFiles(join(root, 'packages/machine/src')),
  };
  writeFileSync(join(temporary, 'index.json'), JSON.stringify(index));
  // Where it is what is there, commands may be running from that, and load more of it.
  if (isSame(temporary, directory)) rmSync(temporary, { recursive: true });
  else {
    rmSync(directory, { recursive: true, force: true });
    renameSync(temporary, directory);
  }
}

/** Whether two directories have the same files. */
function isSame(one: string, other: string): boolean {
  const names = readdirSync(one).sort();
  if (!existsSync(other) || readdirSync(other).sort().join() !== names.join()) return false;
  return names.every((name) =>
    readFileSync(join(one, name)).equals(readFileSync(join(other, name))),
  );
}

interface Entry {
  readonly entry: string;
  readonly name: string;
  readonly to: string;
  /** Gets our modules that are in it. */
  readonly modules: Set<string>;
}

async function bundleEntry(make: Make, { entry, name, to, modules }: Entry): Promise<void> {
  const build = await make({
    input: { [name]: join(root, entry) },
    platform: 'node',
    preserveEntrySignatures: 'allow-extension',
    checks: { ineffectiveDynamicImport: false },
    resolve: { conditionNames: ['anole-source', 'node', 'import', 'default'] },
    plugins: [
      {
        name: 'places',
        transform(code, id) {
          if (!id.startsWith(root + sep)) return undefined;
          // Of what npm installed there is another one only after `npm ci`, which makes a bundle, too.
          if (id.startsWith(join(root, 'packages') + sep)) modules.add(id);
          return code.includes('import.meta.') ? atItsPlace(code, id) : undefined;
        },
      },
    ],
  });
  // Twice: what an entry loads, and no more of it than is used, the first one tells.
  const { output } = await build.generate({ format: 'esm' });
  const chunks = output.filter((each) => each.type === 'chunk');
  const groups = (entries[entry]!.length > 0 ? entries[entry]! : [[entry]]).map((paths) =>
    loadedWith(paths, chunks),
  );
  await build.write({
    dir: to,
    format: 'esm',
    entryFileNames: '[name].mjs',
    chunkFileNames: `${name}-[name]-[hash].mjs`,
    comments: false,
    codeSplitting: {
      includeDependenciesRecursively: false,
      groups: groups.map((modules, at) => ({
        name: `together${at}`,
        // Not the entry: it may wait for a module that imports from these, which it would wait for in turn.
        test: (id) => modules.has(id) && id !== join(root, entry),
        priority: groups.length - at,
      })),
    },
  });
  await build.close();
}

/** Modules that are loaded with some: those of their chunks, and of all that these import. */
function loadedWith(paths: readonly string[], chunks: readonly OutputChunk[]): ReadonlySet<string> {
  const roots = paths.map((path) => join(root, path));
  const loaded = new Set(
    chunks.filter(({ moduleIds }) => roots.some((id) => moduleIds.includes(id))),
  );
  // A set also gives what is added to it meanwhile.
  for (const { imports } of loaded) {
    for (const chunk of chunks) if (imports.includes(chunk.fileName)) loaded.add(chunk);
  }
  return new Set([...loaded].flatMap(({ moduleIds }) => moduleIds));
}

/** Where all is ASCII, the host reads a file as it is; else it has two bytes for each character of it. */
function inAscii(path: string): void {
  const escaped = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  const code = readFileSync(path, 'utf8');
  const plain = code.replaceAll(/[^\0-\x7f]/g, escaped);
  if (plain !== code) writeFileSync(path, plain);
}

/** Files beside a module are looked for where its source is, as without a bundle. */
function atItsPlace(code: string, id: string): string {
  return code
    .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(id).href))
    .replaceAll('import.meta.filename', JSON.stringify(id))
    .replaceAll('import.meta.dirname', JSON.stringify(dirname(id)));
}
