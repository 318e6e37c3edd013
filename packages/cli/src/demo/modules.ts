import { existsSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join, normalize, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from '@anole/bytes/threads';

/** What the scripts of a page import by name. */
const entryPoints = [
  '@anole/bytes',
  '@anole/bytes/threads',
  '@anole/bytes/wasm',
  '@anole/erofs/reader',
  '@anole/fuse',
  '@anole/machine',
  '@anole/sandbox/browser',
  '@anole/vfs',
  '@xterm/addon-fit',
  '@xterm/xterm',
] as const;

/** Directory of the package that a file belongs to. */
function packageOf(file: string): string {
  let directory = dirname(file);
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory);
  return directory;
}

export interface ServedFile {
  readonly type: string;
  readonly bytes: Uint8Array | string;
}

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.ts': 'text/javascript',
};

/**
 * Modules of packages for pages, as they are: TypeScript without its types. There is no build. What
 * they import by name gets its path on the way: workers have no import maps.
 */
export class PageModules {
  /** By the name that is in the paths. */
  readonly #packages = new Map<string, string>();
  readonly #imports: Record<string, string> = {};

  constructor() {
    bundle()?.findSources();
    for (const name of entryPoints) {
      const file = fileURLToPath(import.meta.resolve(name));
      this.#imports[name] = this.#add(name.split('/').slice(0, 2).join('/'), moduleOf(file));
    }
  }

  /** Path at which a file of this package is served: one beside this module. */
  own(name: string): string {
    return this.#add('@anole/cli', join(import.meta.dirname, name));
  }

  /** A file by its path; undefined where there is none, or none for pages. */
  find(path: string): ServedFile | undefined {
    const [, scope, name, ...rest] = normalize(path).slice(1).split('/');
    const root = this.#packages.get(`${scope}/${name}`);
    const type = types[/\.[a-z]+$/.exec(path)?.[0] ?? ''];
    if (root === undefined || type === undefined || rest.includes('..')) return undefined;
    const file = join(root, ...rest);
    if (!existsSync(file)) return undefined;
    if (!/[jt]s$/.test(file)) return { type, bytes: readFileSync(file) };
    const text = readFileSync(file, 'utf8');
    return { type, bytes: this.#linked(file.endsWith('.ts') ? stripTypeScriptTypes(text) : text) };
  }

  #linked(code: string): string {
    return code.replace(
      /(\bfrom\s*|\bimport\s*\(?\s*)(['"])(@[^'"]+)\2/g,
      (all, before: string, _quote, name: string) => {
        const path = this.#imports[name];
        return path === undefined ? all : `${before}'${path}'`;
      },
    );
  }

  #add(name: string, file: string): string {
    const root = packageOf(file);
    this.#packages.set(name, root);
    return `/modules/${name}/${relative(root, file).split(sep).join('/')}`;
  }
}

/** Of packages that come as CommonJS and as a module, the module. */
function moduleOf(file: string): string {
  const module = file.replace(/\.js$/, '.mjs');
  return existsSync(module) ? module : file;
}
