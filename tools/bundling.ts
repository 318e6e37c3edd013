// The command's modules as a few files: what `tools/bundle.ts` makes for a checkout, and `tools/pack.ts` to publish.
import { readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join, sep } from 'node:path';

export const root = realpathSync(join(import.meta.dirname, '..'));

export type Rolldown = typeof import('rolldown').rolldown;
type OutputChunk = import('rolldown').OutputChunk;

/**
 * What is started on its own: the command, and threads. Each with what it loads together: a file takes Node a
 * millisecond to find, so what is always loaded is one file, and the rest waits until it is imported.
 */
const together: Readonly<Record<string, readonly (readonly string[])[]>> = {
  'packages/cli/src/main.ts': [
    ['packages/cli/src/main.ts', 'packages/sandbox/src/engine/threads.ts'],
    ['packages/cli/src/commands/run.ts'],
  ],
  'packages/cli/src/fs/unpack-worker.ts': [],
  'packages/compose/src/compress/compress-worker.ts': [],
  'packages/compose/src/compress/source-worker.ts': [],
  'packages/host/src/native/pre-content-worker.ts': [],
  'packages/machine/src/harts/hart-worker.ts': [],
  'packages/machine/src/hart/jit/compile-worker.ts': [],
  'packages/sandbox/src/engine/machine-worker.ts': [],
};

export interface Bundling {
  readonly make: Rolldown;
  /** An empty directory. */
  readonly to: string;
  /** Gives an expression for the address of a source: what is beside it is looked for there, as without a bundle. */
  readonly address: (source: string) => string;
  /** Whether what npm installed stays outside. */
  readonly isAlone: boolean;
}

export interface Bundled {
  /**
   * Files by the sources that something starts with, in whose place they are. Their names have hashes, so that a
   * process whose bundle was replaced finds none instead of code that does not fit to its own.
   */
  readonly files: readonly (readonly [source: string, file: string])[];
  /** Our modules that are in it. */
  readonly modules: ReadonlySet<string>;
}

export async function bundle(bundling: Bundling): Promise<Bundled> {
  const modules = new Set<string>();
  const files: (readonly [string, string])[] = [];
  // One by one: what two of them have in common would become many small files.
  for (const [at, entry] of Object.keys(together).entries()) {
    const file = await bundleEntry({ ...bundling, entry, name: `entry${at}`, modules });
    files.push([join(root, entry), file]);
  }
  for (const name of readdirSync(bundling.to)) adapt(join(bundling.to, name));
  return { files, modules };
}

interface Entry extends Bundling {
  readonly entry: string;
  readonly name: string;
  /** Gets our modules that are in it. */
  readonly modules: Set<string>;
}

/** Returns the name of the file that it starts with. */
async function bundleEntry(bundling: Entry): Promise<string> {
  const { make, entry, name, to, modules } = bundling;
  const build = await make({
    input: { [name]: join(root, entry) },
    platform: 'node',
    preserveEntrySignatures: 'allow-extension',
    checks: { ineffectiveDynamicImport: false },
    ...(bundling.isAlone && { external: /^(?!@anole\/|[./])/ }),
    resolve: { conditionNames: ['anole-source', 'node', 'import', 'default'] },
    plugins: [
      {
        name: 'places',
        transform(code, id) {
          if (!id.startsWith(root + sep)) return undefined;
          if (id.startsWith(join(root, 'packages') + sep)) modules.add(id);
          return code.includes('import.meta.') ? atItsPlace(code, bundling.address(id)) : undefined;
        },
      },
    ],
  });
  // Twice: what an entry loads, and no more of it than is used, the first one tells.
  const { output } = await build.generate({ format: 'esm' });
  const chunks = output.filter((each) => each.type === 'chunk');
  const groups = (together[entry]!.length > 0 ? together[entry]! : [[entry]]).map((paths) =>
    loadedWith(paths, chunks),
  );
  const written = await build.write({
    dir: to,
    format: 'esm',
    entryFileNames: '[name]-[hash].mjs',
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
  return written.output.find((each) => each.type === 'chunk' && each.isEntry)!.fileName;
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

/** Changes a file into what takes Node less time. */
function adapt(path: string): void {
  const code = readFileSync(path, 'utf8');
  const changed = withoutFacades(inAscii(code));
  if (changed !== code) writeFileSync(path, changed);
}

/** Where all is ASCII, the host reads a file as it is; else it has two bytes for each character of it. */
function inAscii(code: string): string {
  const escaped = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return code.replaceAll(/[^\0-\x7f]/g, escaped);
}

/**
 * Takes modules of Node's as they are. Who imports one has Node read all that it exports, and for that load what only
 * few use: with the first import of `node:fs` streams and promises, ten milliseconds.
 */
function withoutFacades(code: string): string {
  return code.replaceAll(
    /^import (?:(\w+),? ?)?(?:\* as (\w+)|\{([^}]*)\})? ?from ("node:[\w/]+");$/gm,
    (_, whole: string, namespace: string, names: string, module: string) => {
      const renamed = names?.replaceAll(/\b(\w+) as (\w+)/g, '$1: $2');
      return [whole, namespace, renamed && `{${renamed}}`]
        .filter((pattern) => pattern !== undefined)
        .map((pattern) => `const ${pattern} = process.getBuiltinModule(${module});`)
        .join(' ');
    },
  );
}

function atItsPlace(code: string, address: string): string {
  const path = `process.getBuiltinModule('node:url').fileURLToPath(${address})`;
  return code
    .replaceAll('import.meta.url', address)
    .replaceAll('import.meta.filename', path)
    .replaceAll('import.meta.dirname', `process.getBuiltinModule('node:path').dirname(${path})`);
}
