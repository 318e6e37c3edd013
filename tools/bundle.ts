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

const root = realpathSync(join(import.meta.dirname, '..'));
/** Where `packages/cli/bin/anole.js` looks. */
const directory = join(root, 'node_modules/.cache/anole-bundle');
/** What is started on its own: the command, and threads. */
const entries = [
  'packages/cli/src/main.ts',
  'packages/cli/src/fs/unpack-worker.ts',
  'packages/compose/src/compress/compress-worker.ts',
  'packages/compose/src/compress/source-worker.ts',
  'packages/sandbox/src/engine/machine-worker.ts',
];

const { rolldown } = await import('rolldown').catch(() => ({ rolldown: undefined }));
if (rolldown === undefined)
  console.error('bundle: rolldown is not installed; sources run as they are');
else await bundle(rolldown);

async function bundle(make: typeof import('rolldown').rolldown): Promise<void> {
  const modules = new Set<string>();
  const build = await make({
    input: Object.fromEntries(entries.map((entry, at) => [`entry${at}`, join(root, entry)])),
    platform: 'node',
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
  const temporary = `${directory}.${process.pid}`;
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  await build.write({
    dir: temporary,
    format: 'esm',
    entryFileNames: '[name].mjs',
    chunkFileNames: '[name]-[hash].mjs',
  });
  await build.close();
  const stamps = [...modules].sort().map((path) => {
    const { size, mtimeMs } = statSync(path);
    return [relative(root, path), size, Math.floor(mtimeMs)] as const;
  });
  const files = entries.map((entry, at) => {
    const url = (path: string) => pathToFileURL(path).href;
    return [url(join(root, entry)), url(join(directory, `entry${at}.mjs`))] as const;
  });
  const index = { root, entries: Object.fromEntries(files), stamps };
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

/** Files beside a module are looked for where its source is, as without a bundle. */
function atItsPlace(code: string, id: string): string {
  return code
    .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(id).href))
    .replaceAll('import.meta.filename', JSON.stringify(id))
    .replaceAll('import.meta.dirname', JSON.stringify(dirname(id)));
}
