// `npm run bundle`, and after `npm ci`: the command's modules as a few files. Three hundred of them take
// longer to load than all that `anole run` does with them. See docs/decisions/0066.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { stampOfFiles } from '../packages/sandbox/src/engine/stamp-of-files.ts';
import { bundle, type Rolldown, root } from './bundling.ts';

/** Where `packages/cli/bin/anole.js` looks. */
const directory = join(root, 'node_modules/.cache/anole-bundle');
const url = (path: string): string => pathToFileURL(path).href;

const { rolldown } = await import('rolldown').catch(() => ({ rolldown: undefined }));
if (rolldown === undefined)
  console.error('bundle: rolldown is not installed; sources run as they are');
else await bundleHere(rolldown);

async function bundleHere(make: Rolldown): Promise<void> {
  const temporary = `${directory}.${process.pid}`;
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  const address = (source: string) => JSON.stringify(url(source));
  // Of what npm installed there is another one only after `npm ci`, which makes a bundle, too.
  const { files, modules } = await bundle({ make, to: temporary, address, isAlone: false });
  const stamps = [...modules].sort().map((path) => {
    const { size, mtimeMs } = statSync(path);
    return [relative(root, path), size, Math.floor(mtimeMs)] as const;
  });
  const places = files.map(([source, file]) => [url(source), url(join(directory, file))] as const);
  const index = {
    root,
    entries: Object.fromEntries(places),
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
