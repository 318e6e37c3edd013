import { readSharedObject, type SharedObject } from './elf.ts';
import type { Rootfs } from './rootfs.ts';

/** One library as the dynamic loader finds it: by its soname, at a path. */
export interface CachedLibrary {
  readonly name: string;
  readonly path: string;
  /** glibc's kind of library: see {@link kindOf}. */
  readonly flags: number;
}

/** `FLAG_ELF_LIBC6` of glibc's ldconfig.h, with the ABI of each machine. */
const ELF_LIBC6 = 0x0003;
const machines: Readonly<Record<number, (flags: number) => number>> = {
  62: () => 0x0300,
  183: () => 0x0a00,
  // EF_RISCV_FLOAT_ABI: double is 4 in the mask 6.
  243: (flags) => ((flags & 6) === 4 ? 0x1000 : 0x0f00),
};

/** The directories of ld.so.conf, then those ld.so looks through by itself. */
async function libraryDirectories(rootfs: Rootfs, triplet: string): Promise<string[]> {
  const configured = await readConfiguration(rootfs, '/etc/ld.so.conf', 0);
  return [...configured, `/lib/${triplet}`, `/usr/lib/${triplet}`, '/lib', '/usr/lib'];
}

async function readConfiguration(rootfs: Rootfs, path: string, depth: number): Promise<string[]> {
  const directories: string[] = [];
  const lines = ((await rootfs.text(path)) ?? '').split('\n');
  for (const line of lines.map((one) => one.replace(/#.*/, '').trim())) {
    const include = /^include\s+(?:(.*)\/)?([^/]*)$/.exec(line);
    if (include === null)
      directories.push(...line.split(/[\s:,]+/).filter((word) => word.startsWith('/')));
    else if (depth < 8) {
      const parent = include[1] ?? '/etc';
      const pattern = new RegExp(
        `^${include[2]!.replace(/[.+^$]/g, '\\$&').replace(/\*/g, '.*')}$`,
      );
      for (const name of rootfs.list(parent).filter((one) => pattern.test(one))) {
        directories.push(...(await readConfiguration(rootfs, `${parent}/${name}`, depth + 1)));
      }
    }
  }
  return directories;
}

/**
 * Does what ldconfig does: finds the libraries, makes the links by soname that are missing, and
 * gives what belongs into the cache, in its order.
 */
export async function findLibraries(rootfs: Rootfs, triplet: string): Promise<CachedLibrary[]> {
  const libraries: CachedLibrary[] = [];
  const seen = new Set<unknown>();
  for (const path of await libraryDirectories(rootfs, triplet)) {
    const node = rootfs.find(path);
    // /lib and /usr/lib are one where /usr is merged: the first name is kept.
    if (node?.type !== 'directory' || seen.has(node)) continue;
    seen.add(node);
    libraries.push(...(await scan(rootfs, path)));
  }
  return libraries.sort((a, b) => compareLibraries(b.name, a.name) || b.flags - a.flags);
}

/** Printable ASCII without a slash: a library says itself what it is called. */
const plainName = /^[!-.0-~]+$/;

interface Candidate {
  readonly file: string;
  readonly isLink: boolean;
  readonly flags: number;
}

async function scan(rootfs: Rootfs, directory: string): Promise<CachedLibrary[]> {
  const best = new Map<string, Candidate>();
  for (const file of rootfs.list(directory)) {
    if (!/^(lib|ld-).*\.so/.test(file) || !plainName.test(file)) continue;
    const found = await examine(rootfs, directory, file);
    if (found === undefined) continue;
    const { name, ...candidate } = found;
    const there = best.get(name);
    if (there === undefined || isBetter(candidate, there)) best.set(name, candidate);
  }
  for (const [name, { file, isLink }] of best) {
    const link = `${directory}/${name}`;
    if (!isLink && rootfs.at(link) === undefined) rootfs.symlink(link, file);
  }
  return [...best].map(([name, { flags }]) => ({ name, path: `${directory}/${name}`, flags }));
}

/** A file goes before a link; of two of a kind, the higher version. */
function isBetter(one: Candidate, other: Candidate): boolean {
  if (one.isLink !== other.isLink) return other.isLink;
  return compareLibraries(other.file, one.file) < 0;
}

async function examine(rootfs: Rootfs, directory: string, file: string) {
  const path = `${directory}/${file}`;
  const node = rootfs.find(path);
  if (node?.type !== 'file') return undefined;
  const object = await readSharedObject(node);
  const flags = object && kindOf(object);
  if (object === undefined || flags === undefined) return undefined;
  const soname = object.soname ?? file;
  if (!plainName.test(soname)) return undefined;
  const isLink = rootfs.at(path)?.type === 'symlink' && isForLinker(file, soname);
  return { name: isLink ? file : soname, file, isLink, flags };
}

/** The linker's name for a library, libx.so beside libx.so.1: cached too, by that name. */
function isForLinker(file: string, soname: string): boolean {
  return file === soname || (file.endsWith('.so') && soname.startsWith(file));
}

function kindOf({ machine, flags }: SharedObject): number | undefined {
  const abi = machines[machine]?.(flags);
  return abi === undefined ? undefined : ELF_LIBC6 | abi;
}

/** glibc's order of library names: runs of digits compare as numbers, and after other characters. */
export function compareLibraries(a: string, b: string): number {
  let i = 0;
  let j = 0;
  while (i < a.length) {
    const digitsA = /^\d+/.exec(a.slice(i))?.[0];
    const digitsB = /^\d+/.exec(b.slice(j))?.[0];
    if (digitsA !== undefined && digitsB !== undefined) {
      const difference = Number(digitsA) - Number(digitsB);
      if (difference !== 0) return difference;
      i += digitsA.length;
      j += digitsB.length;
    } else if (digitsA !== undefined) return 1;
    else if (digitsB !== undefined) return -1;
    else if (a[i] !== b[j]) return a.charCodeAt(i) - (j < b.length ? b.charCodeAt(j) : 0);
    else {
      i++;
      j++;
    }
  }
  return j < b.length ? -b.charCodeAt(j) : 0;
}

const MAGIC = 'glibc-ld.so.cache1.1';
const HEADER = 48;
const ENTRY = 24;
const LITTLE_ENDIAN = 2;

/**
 * The bytes of /etc/ld.so.cache. glibc, sysdeps/generic/dl-cache.h, struct cache_file_new: header,
 * entries sorted for a binary search, strings.
 */
export function encodeLibraryCache(libraries: readonly CachedLibrary[]): Uint8Array {
  const stringsAt = HEADER + ENTRY * libraries.length;
  const strings = libraries.map(({ name, path }) => `${name}\0${path}\0`).join('');
  const bytes = new Uint8Array(stringsAt + strings.length);
  const view = new DataView(bytes.buffer);
  const encoder = new TextEncoder();
  encoder.encodeInto(MAGIC, bytes);
  view.setUint32(20, libraries.length, true);
  view.setUint32(24, strings.length, true);
  view.setUint8(28, LITTLE_ENDIAN);
  let string = stringsAt;
  libraries.forEach(({ name, path, flags }, index) => {
    const at = HEADER + ENTRY * index;
    view.setInt32(at, flags, true);
    view.setUint32(at + 4, string, true);
    view.setUint32(at + 8, string + name.length + 1, true);
    string += name.length + path.length + 2;
  });
  encoder.encodeInto(strings, bytes.subarray(stringsAt));
  return bytes;
}
