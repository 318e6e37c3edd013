import { setImmediate } from 'node:timers/promises';
import { type CallOptions, decodeName } from '@anole/bytes';
import type { Execution } from '@anole/oci';
import { type Found, findFollowed, type Tree, type TreeNode, VfsError } from '@anole/vfs';
import type { Trace } from '../trace.ts';
import { type ElfNeeds, type ElfPart, elfNeeds, type NamesLeft } from './elf.ts';
import { type NamedFile, openedByName } from './runtimes.ts';

/** Files at most, and their bytes: beyond that nobody waits for all of it. */
const MAX_FILES = 256;
const MAX_BYTES = 128 * 1024 * 1024;
/** Names that are looked for at most: a program may name any number of libraries, in any number of directories. */
const MAX_LOOKUPS = 20_000;
/** Characters of all names of libraries and directories: some have hundreds of libraries, of a few tens of characters. */
const MAX_NAMES = 1024 * 1024;
/** Names that are looked for before others have their turn: most trees are in memory. */
const TURN = 256;
/** Directories of a search path. */
const MAX_SEARCH = 256;
/** Files that are looked at together. */
const TOGETHER = 8;
/** Arguments that are looked at, and bytes of the files that they name. */
const MAX_ARGUMENTS = 64;
const MAX_FILE = 4 * 1024 * 1024;
/** Scripts whose interpreters are scripts. */
const MAX_SCRIPTS = 4;
const MAX_LINE = 256;
/** Characters. */
const MAX_PATH = 4096;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Debian's names of processors, by those of ELF: libraries lie in directories of such names. */
const triplets: Readonly<Record<number, string>> = {
  62: 'x86_64-linux-gnu',
  183: 'aarch64-linux-gnu',
  243: 'riscv64-linux-gnu',
};
const directories = ['usr/local/lib', 'lib64', 'usr/lib64', 'lib', 'usr/lib'];

/** How a command runs, as an image's configuration says. */
export type Command = Pick<Execution, 'entrypoint' | 'cmd' | 'env' | 'workingDirectory'>;

/**
 * What an image's own command reads when it starts, as far as its files say: the program, the loader and the libraries
 * that it names, and those that these name; of a script its interpreter; what runtimes that are known open by name
 * ({@link openedByName}); and files that are its arguments, such as the script of an interpreter. Nothing is run. What is not there, or makes no sense, is left out.
 */
export async function commandNeeds(
  tree: Tree,
  { entrypoint, cmd, env, workingDirectory = '/' }: Command,
  { signal }: Pick<CallOptions, 'signal'> = {},
): Promise<Trace> {
  const [word, ...others] = [...entrypoint, ...cmd];
  const needed = new Needed(tree, signal);
  if (word !== undefined) await needed.program(word, searchPath(env));
  await needed.files(
    others.slice(0, MAX_ARGUMENTS).map((each) => {
      return each.startsWith('/') ? each : `${workingDirectory}/${each}`;
    }),
  );
  return needed.trace;
}

function searchPath(env: readonly string[]): readonly string[] {
  const set = env.find((each) => each.startsWith('PATH='))?.slice('PATH='.length);
  return (set ?? PATH).split(':', MAX_SEARCH);
}

/** A file that was taken, and what it needs, if it is a program or a library. */
interface Added extends Pick<Found, 'path' | 'node'> {
  readonly needs: ElfNeeds | undefined;
  /** What of it is read. */
  readonly parts: readonly ElfPart[];
}

class Needed {
  readonly #tree: Tree;
  /** What of each file is read, by their paths. */
  readonly #files = new Map<string, readonly ElfPart[]>();
  #bytes = 0;
  #lookups = 0;
  readonly #names: NamesLeft = { characters: MAX_NAMES };
  readonly #signal: AbortSignal | undefined;

  constructor(tree: Tree, signal: AbortSignal | undefined) {
    this.#tree = tree;
    this.#signal = signal;
  }

  /** Whether nothing more is to be looked for. */
  get #isFull(): boolean {
    return this.#lookups >= MAX_LOOKUPS || this.#files.size >= MAX_FILES;
  }

  get trace(): Trace {
    return [...this.#files].flatMap(([path, parts]) => parts.map((part) => ({ path, ...part })));
  }

  async program(word: string, search: readonly string[]): Promise<void> {
    let name = word;
    for (let depth = 0; depth < MAX_SCRIPTS; depth++) {
      const places = name.includes('/') ? [name] : placesIn(search, name);
      const found = await this.#first(places);
      const added = found && (await this.#add(found));
      if (added === undefined) return;
      const words = await interpreterOf(added.node);
      if (words === undefined) {
        const loader = added.needs?.interpreter;
        if (loader !== undefined) await this.#loader(loader);
        await this.#libraries([added]);
        return await this.#byName(openedByName(added.path));
      }
      // `#!/usr/bin/env python3` is python3, too.
      const [program = '', argument] = words;
      if (/(?:^|\/)env$/.test(program) && argument !== undefined) {
        await this.program(program, search);
        name = argument;
      } else name = program;
    }
  }

  /** Files that are read as they are, if they are not large: of those it is not known what is. */
  async files(paths: readonly string[]): Promise<void> {
    for (const path of paths) {
      const found = await this.#first([path]);
      if (found && found.node.stat.size <= MAX_FILE) await this.#add(found);
    }
  }

  async #loader(path: string): Promise<void> {
    const found = await this.#first([path]);
    const [added] = found ? await this.#addAll([found]) : [];
    if (added) await this.#byName(openedByName(added.path));
  }

  /** What is opened by name, and the libraries of that. */
  async #byName(files: readonly NamedFile[]): Promise<void> {
    const found = await Promise.all(
      files.map(async ({ places, ...how }) => {
        const file = await this.#first(places);
        return file && { ...file, ...how };
      }),
    );
    await this.#libraries(await this.#addAll(found.filter((each) => each !== undefined)));
  }

  /** The loader first, then libraries in the order in which it reads them. */
  async #libraries(programs: readonly Added[]): Promise<void> {
    for (let level = programs; level.length > 0; ) {
      const next: Added[] = [];
      // Together: they may be far away, and none says where the others are.
      for (const part of groupsOf(wantedBy(level))) {
        const found = await Promise.all(part.map((places) => this.#first(places)));
        next.push(...(await this.#addAll(found.filter((each) => each !== undefined))));
        if (this.#isFull) return;
      }
      level = next;
    }
  }

  async #first(places: Iterable<string>): Promise<Found | undefined> {
    for (const place of places) {
      if (this.#isFull) return undefined;
      if (++this.#lookups % TURN === 0) await setImmediate();
      this.#signal?.throwIfAborted();
      const found = await this.#find(place);
      if (found?.node.stat.type === 'file') return found;
    }
    return undefined;
  }

  async #find(path: string): Promise<Found | undefined> {
    // An argument may be anything.
    if (path.length > MAX_PATH || path.includes('\0')) return undefined;
    try {
      return await findFollowed(this.#tree, path);
    } catch (error) {
      if (error instanceof VfsError) return undefined;
      throw error;
    }
  }

  /** Undefined where it is known, or too much. */
  async #add(found: Found): Promise<Added | undefined> {
    return (await this.#addAll([found]))[0];
  }

  async #addAll(all: readonly (Found & Omit<NamedFile, 'places'>)[]): Promise<readonly Added[]> {
    const byPath = new Map(all.map((found) => [found.path, found]));
    const fresh = [...byPath.values()].filter(
      ({ path, node }) => !this.#files.has(path) && node.stat.size > 0,
    );
    const added = await Promise.all(
      fresh.map(async ({ path, node, partsOf, most }) => {
        const [needs, own] = await Promise.all([
          elfNeeds(node, this.#names, most),
          partsOf?.(node),
        ]);
        const usual = needs?.parts ?? [{ offset: 0, length: node.stat.size }];
        return { path, node, needs, parts: partsOf ? (own ?? []) : usual };
      }),
    );
    return added.flatMap((each) => this.#take(each));
  }

  #take(added: Added): readonly Added[] {
    const { path, parts } = added;
    const bytes = parts.reduce((sum, { length }) => sum + length, 0);
    const isTooMuch = this.#files.size >= MAX_FILES || this.#bytes + bytes > MAX_BYTES;
    if (bytes === 0 || isTooMuch) return [];
    this.#files.set(path, parts);
    this.#bytes += bytes;
    return [added];
  }
}

function* placesIn(search: readonly string[], name: string): Generator<string> {
  for (const each of search) yield `${each}/${name}`;
}

/** Where each file may be that some need. Places are made when they are looked at: there may be very many. */
function* wantedBy(level: readonly Added[]): Generator<Iterable<string>> {
  for (const { path, needs } of level) {
    if (needs === undefined) continue;
    if (needs.interpreter !== undefined) yield [needs.interpreter];
    for (const library of needs.libraries) yield placesOf(library, path, needs);
  }
}

function* groupsOf<T>(all: Iterable<T>): Generator<readonly T[]> {
  let group: T[] = [];
  for (const each of all) {
    if (group.push(each) < TOGETHER) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

function* placesOf(library: string, path: string, needs: ElfNeeds): Generator<string> {
  if (library.includes('/')) return yield library;
  const origin = path.slice(0, Math.max(0, path.lastIndexOf('/')));
  for (const each of needs.directories)
    yield `${each.replace(/\$(?:ORIGIN|\{ORIGIN\})/, () => origin)}/${library}`;
  const triplet = triplets[needs.machine];
  if (triplet !== undefined) yield* [`usr/lib/${triplet}/${library}`, `lib/${triplet}/${library}`];
  for (const each of directories) yield `${each}/${library}`;
}

/** Words of a script's first line: the interpreter, and its argument. */
async function interpreterOf(node: TreeNode): Promise<readonly string[] | undefined> {
  const line = decodeName(await node.read(0, Math.min(MAX_LINE, node.stat.size)));
  const [, words] = /^#![ \t]*([^\n]+)/.exec(line) ?? [];
  return words?.trim().split(/[ \t]+/);
}
