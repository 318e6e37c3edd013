import type { CallOptions } from '@anole/bytes';
import { type Aspect, type Difference, renderDifference, typeName } from './difference.ts';
import { compareNames } from './paths.ts';
import { pause } from './pause.ts';
import type { Stat, Timestamp, Tree, TreeNode } from './tree.ts';
import { sortedEntries } from './walk.ts';

export interface CompareOptions extends CallOptions {
  /** What is not looked at: where one side cannot have it, as owners without root. */
  readonly ignore?: readonly Aspect[];
  /** How exact times are: what is finer is cut off on both sides. Default nanoseconds. */
  readonly times?: 'nanoseconds' | 'microseconds' | 'seconds';
  /** Paths for which it is false are left out; directories with all that is below them. */
  filter?(path: string): boolean;
  /** Extended attributes for which it is false are left out. */
  xattrFilter?(name: string): boolean;
}

/**
 * What two trees differ in, path by path in the order of {@link walk}; nothing where they are the
 * same. Compared are types, permissions, owners, times of change, device numbers, extended
 * attributes, targets of links, which names are one file, and contents. Sizes and link counts of
 * directories, inode numbers and holes are not: they are a tree's own affair.
 *
 * @example
 * for await (const difference of compareTrees(a, b)) console.log(renderDifference(difference));
 */
export async function* compareTrees(
  a: Tree,
  b: Tree,
  options: CompareOptions = {},
): AsyncGenerator<Difference, void, undefined> {
  yield* new Comparison(options).nodes('', a.root, b.root);
}

/**
 * Whether two nodes are the same, contents and all; of directories what is in them does not count, nor
 * does which names are one file.
 */
export async function isSameNode(a: TreeNode, b: TreeNode): Promise<boolean> {
  const differences = new Comparison({ ignore: ['links'] }).node('', a, b);
  return (await differences.next()).done === true;
}

/** All differences as lines, at most `limit` of them; what tests assert to be empty. */
export async function describeDifferences(
  a: Tree,
  b: Tree,
  options: CompareOptions & { readonly limit?: number } = {},
): Promise<string> {
  const lines: string[] = [];
  for await (const difference of compareTrees(a, b, options)) {
    if (lines.length === (options.limit ?? 50)) {
      lines.push('and more');
      break;
    }
    lines.push(renderDifference(difference));
  }
  return lines.join('\n');
}

/** Bytes of a file compared at once. */
const CHUNK = 256 * 1024;
/** Bytes of memory for what comparisons of single small files need. */
const SMALL = 16 * 1024;
/** Nodes, and bytes of a file, between two turns of the event loop. */
const PAUSE_EVERY = 1024;
const PAUSE_BYTES = 64 * 1024 * 1024;

class Comparison {
  private readonly options: CompareOptions;
  private readonly ignored: ReadonlySet<Aspect>;
  private readonly firstNames = [new Map<number, string>(), new Map<number, string>()] as const;
  private readonly memory = [new Uint8Array(0), new Uint8Array(0)];
  private done = 0;

  constructor(options: CompareOptions) {
    this.options = options;
    this.ignored = new Set(options.ignore);
  }

  async *nodes(path: string, a: TreeNode, b: TreeNode): AsyncGenerator<Difference> {
    if (++this.done % PAUSE_EVERY === 0) await pause();
    this.options.signal?.throwIfAborted();
    this.options.onProgress?.({ step: 'compare', done: this.done, unit: 'items', detail: path });
    yield* this.node(path, a, b);
    if (a.stat.type === 'directory' && b.stat.type === 'directory') {
      yield* this.directories(path, a, b);
    }
  }

  /** Two nodes by themselves. */
  async *node(path: string, a: TreeNode, b: TreeNode): AsyncGenerator<Difference> {
    if (a.stat.type !== b.stat.type) {
      yield* this.differing(path, 'type', typeName(a.stat.type), typeName(b.stat.type));
      return;
    }
    yield* this.attributes(path, a.stat, b.stat);
    yield* this.xattrs(path, a, b);
    if (a.stat.type === 'directory') return;
    const first = this.firstNames[0].get(a.stat.ino);
    yield* this.links(path, a.stat, b.stat);
    if (a.stat.type === 'symlink') {
      yield* this.differing(path, 'target', await a.readLink(), await b.readLink());
    } else if (a.stat.type === 'file' && first === undefined) {
      yield* this.contents(path, a, b);
    }
  }

  private *attributes(path: string, a: Stat, b: Stat): Generator<Difference> {
    // Linux has no permissions of symbolic links to set, and shows 0777.
    if (a.type !== 'symlink') yield* this.differing(path, 'mode', octal(a.mode), octal(b.mode));
    yield* this.differing(path, 'owner', `${a.uid}:${a.gid}`, `${b.uid}:${b.gid}`);
    yield* this.differing(path, 'mtime', this.time(a.mtime), this.time(b.mtime));
    yield* this.differing(path, 'rdev', device(a), device(b));
    if (a.type === 'file') yield* this.differing(path, 'size', String(a.size), String(b.size));
  }

  private async *xattrs(path: string, a: TreeNode, b: TreeNode): AsyncGenerator<Difference> {
    if (this.ignored.has('xattr')) return;
    const left = await a.xattrs();
    const right = await b.xattrs();
    if (left.size === 0 && right.size === 0) return;
    const names = [...new Set([...left.keys(), ...right.keys()])].sort(compareNames);
    for (const name of names) {
      if (this.options.xattrFilter && !this.options.xattrFilter(name)) continue;
      const texts = { a: left.get(name), b: right.get(name) };
      const [one, other] = [texts.a && hex(texts.a), texts.b && hex(texts.b)];
      if (one === other) continue;
      yield {
        path,
        aspect: 'xattr',
        name,
        ...(one !== undefined && { a: one }),
        ...(other !== undefined && { b: other }),
      };
    }
  }

  private async *directories(path: string, a: TreeNode, b: TreeNode): AsyncGenerator<Difference> {
    const names = await Promise.all([a, b].map(namesOf));
    const left = names[0]!;
    const right = names[1]!;
    const prefix = path === '' ? '' : `${path}/`;
    for (let i = 0, j = 0; i < left.length || j < right.length; ) {
      const order =
        i === left.length ? 1 : j === right.length ? -1 : compareNames(left[i]!, right[j]!);
      const name = order <= 0 ? left[i]! : right[j]!;
      if (order <= 0) i++;
      if (order >= 0) j++;
      const below = prefix + name;
      if (this.options.filter && !this.options.filter(below)) continue;
      const one = order <= 0 ? await a.lookup(name) : undefined;
      const other = order >= 0 ? await b.lookup(name) : undefined;
      if (one && other) yield* this.nodes(below, one, other);
      else yield* this.present(below, one, other);
    }
  }

  private *present(path: string, a?: TreeNode, b?: TreeNode): Generator<Difference> {
    if (this.ignored.has('presence')) return;
    const [one, other] = [a && typeName(a.stat.type), b && typeName(b.stat.type)];
    yield { path, aspect: 'presence', ...(one && { a: one }), ...(other && { b: other }) };
  }

  /** Which names are one file: the first name of each side must be the same. */
  private *links(path: string, a: Stat, b: Stat): Generator<Difference> {
    const one = firstName(this.firstNames[0], a, path);
    const other = firstName(this.firstNames[1], b, path);
    if (one === other || this.ignored.has('links')) return;
    yield {
      path,
      aspect: 'links',
      ...(one !== undefined && { a: `a name of /${one}` }),
      ...(other !== undefined && { b: `a name of /${other}` }),
    };
  }

  private async *contents(path: string, a: TreeNode, b: TreeNode): AsyncGenerator<Difference> {
    if (this.ignored.has('content')) return;
    const size = Math.min(a.stat.size, b.stat.size);
    for (let offset = 0; offset < size; ) {
      this.options.signal?.throwIfAborted();
      const length = Math.min(CHUNK, size - offset);
      // The second read may reuse the memory of the first: both trees may stand on one Source.
      const left = await this.bytes(0, a, offset, length);
      const right = await this.bytes(1, b, offset, length);
      const at = firstDifference(left, right);
      if (at >= 0) {
        yield {
          path,
          aspect: 'content',
          offset: offset + at,
          a: byte(left[at]),
          b: byte(right[at]),
        };
        return;
      }
      if (left.length === 0) return;
      offset += left.length;
      if (offset % PAUSE_BYTES === 0) await pause();
    }
  }

  /** Bytes of a file of one side, in memory that its next ones come into, too. */
  private async bytes(side: 0 | 1, node: TreeNode, offset: number, length: number) {
    if (this.memory[side]!.length < length) {
      this.memory[side] = new Uint8Array(length <= SMALL ? SMALL : CHUNK);
    }
    const target = this.memory[side]!.subarray(0, length);
    if (node.readInto) return target.subarray(0, await node.readInto(offset, target));
    const bytes = await node.read(offset, length);
    if (side === 1) return bytes;
    target.set(bytes);
    return target.subarray(0, bytes.length);
  }

  private *differing(path: string, aspect: Aspect, a: string, b: string): Generator<Difference> {
    if (a !== b && !this.ignored.has(aspect)) yield { path, aspect, a, b };
  }

  private time({ seconds, nanoseconds }: Timestamp): string {
    const { times = 'nanoseconds' } = this.options;
    if (times === 'seconds') return String(seconds);
    const digits = String(nanoseconds).padStart(9, '0');
    return `${seconds}.${times === 'microseconds' ? digits.slice(0, 6) : digits}`;
  }
}

async function namesOf(directory: TreeNode): Promise<string[]> {
  return (await sortedEntries(directory)).map(({ name }) => name);
}

function firstName(known: Map<number, string>, stat: Stat, path: string): string | undefined {
  const first = known.get(stat.ino);
  if (first === undefined && stat.nlink > 1) known.set(stat.ino, path);
  return first;
}

/** Bytes at the beginning that are the same for sure: found four at a time, where both are aligned. */
function equalWords(a: Uint8Array, b: Uint8Array, length: number): number {
  if (length < 64 || (a.byteOffset | b.byteOffset) % 4 !== 0) return 0;
  const words = length >> 2;
  const left = new Int32Array(a.buffer, a.byteOffset, words);
  const right = new Int32Array(b.buffer, b.byteOffset, words);
  let at = 0;
  while (at < words && left[at] === right[at]) at++;
  return at * 4;
}

/** Index of the first byte that differs, also where one of the two ends; -1 where none does. */
function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let at = equalWords(a, b, length); at < length; at++) if (a[at] !== b[at]) return at;
  return a.length === b.length ? -1 : length;
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

function device({ rdev, type }: Stat): string {
  if (type !== 'block' && type !== 'character') return '';
  return `${rdev?.major ?? 0}:${rdev?.minor ?? 0}`;
}

function byte(value: number | undefined): string {
  return value === undefined ? 'its end' : `0x${value.toString(16).padStart(2, '0')}`;
}

function hex(bytes: Uint8Array): string {
  const shown = Array.from(bytes, (value) => value.toString(16).padStart(2, '0')).join('');
  return shown === '' ? 'empty' : `0x${shown}`;
}
