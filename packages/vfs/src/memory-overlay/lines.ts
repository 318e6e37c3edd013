import { VfsError } from '../errors.ts';
import { checkName } from '../names.ts';
import { allFileTypes, type FileType, type Stat, type Timestamp } from '../tree.ts';
import { CHUNK, type StoredChunk } from './chunk.ts';
import type { ContentState } from './content.ts';
import type { NodeState, OverlayState } from './state.ts';

/** A node in a line, as JSON: what is undefined in its state is left out. */
interface NodeLine {
  readonly stat: Stat;
  readonly lower?: string;
  readonly parent?: number;
  readonly names?: readonly (readonly [string, number | null])[];
  /** Names, and values in hexadecimal. */
  readonly attributes?: readonly (readonly [string, string])[];
  readonly target?: string;
  readonly removed?: boolean;
  readonly changed?: boolean;
  readonly content?: {
    readonly size: number;
    readonly lowerEnd: number;
    readonly held: number;
    /** Index, length, offset in the store, CRC-32C. */
    readonly chunks: readonly (readonly [number, number, number, number])[];
  };
}

/**
 * Writes the state of an overlay as lines of JSON, without its files' bytes: the first one is about the
 * whole, then comes one for each node.
 *
 * @param state not saved briefly
 * @param store puts bytes of a chunk where {@link readOverlay}'s user will find them
 */
export function* writeOverlay(
  { nextIno, renumbered, used, nodes, same }: OverlayState,
  store: (chunk: Uint8Array | StoredChunk) => StoredChunk,
): Generator<string> {
  if (same !== undefined) throw bad('brief state');
  yield JSON.stringify({ nextIno, renumbered, used, nodes: nodes.length });
  for (const node of nodes) yield JSON.stringify(lineOf(node, store));
}

function lineOf(
  { stat, lowerPath, parent, names, attributes, target, removed, changed, content }: NodeState,
  store: (chunk: Uint8Array | StoredChunk) => StoredChunk,
): NodeLine {
  return {
    stat,
    ...(lowerPath !== undefined && { lower: lowerPath }),
    ...(parent !== undefined && { parent }),
    ...(names.length > 0 && { names }),
    ...(attributes && {
      attributes: Array.from(attributes, ([name, value]) => [name, hex(value)]),
    }),
    ...(target !== undefined && { target }),
    ...(removed && { removed }),
    ...(changed && { changed }),
    ...(content && {
      content: {
        ...content,
        chunks: content.chunks.map(([index, chunk]) => {
          const { length, offset, sum } = store(chunk);
          return [index, length, offset, sum] as const;
        }),
      },
    }),
  };
}

/**
 * Reads what {@link writeOverlay} wrote. Nothing that comes out can make an overlay that does not hang
 * together; whether its bytes are in the store shows when they are read.
 *
 * @throws VfsError `VFS_INVALID`, `VFS_NAME_TOO_LONG`; SyntaxError for lines that are no JSON
 */
export function readOverlay(lines: Iterable<string>): OverlayState {
  let head: (Omit<OverlayState, 'nodes'> & { readonly nodes: number }) | undefined;
  const nodes: NodeState[] = [];
  for (const line of lines) {
    const value: unknown = JSON.parse(line);
    if (head === undefined) head = headOf(value);
    else nodes.push(nodeOf(value));
  }
  if (head === undefined || head.nodes !== nodes.length) throw bad('nodes are missing');
  checkWhole(nodes);
  return { ...head, nodes };
}

function headOf(value: unknown) {
  const { nextIno, renumbered, used, nodes } = objectOf(value);
  const pairs = listOf(renumbered, 'renumbered').map((pair) => {
    const [lower, own] = listOf(pair, 'renumbered');
    return [count(lower, 'ino'), count(own, 'ino')] as const;
  });
  return {
    nextIno: count(nextIno, 'ino'),
    renumbered: pairs,
    used: count(used, 'used'),
    nodes: count(nodes, 'nodes'),
  };
}

const types: ReadonlySet<unknown> = new Set(allFileTypes);

function nodeOf(value: unknown): NodeState {
  const line = objectOf(value);
  const stat = statOf(objectOf(line['stat']));
  const { type } = stat;
  const { lower, parent, names = [], attributes, target, content } = line;
  const made = lower === undefined;
  if (!made && typeof lower !== 'string') throw bad('a lower path');
  if (type === 'symlink' && made && typeof target !== 'string') throw bad('a link');
  const state = {
    stat,
    lowerPath: lower as string | undefined,
    parent: parent === undefined ? undefined : count(parent, 'ino'),
    names: listOf(names, 'names').map(nameOf),
    attributes: attributes === undefined ? undefined : attributesOf(attributes),
    target: target === undefined ? undefined : textOf(target),
    removed: line['removed'] === true,
    changed: line['changed'] === true,
    content: content === undefined ? undefined : contentOf(objectOf(content)),
  };
  if (state.names.length > 0 && type !== 'directory') throw bad('names of no directory');
  if (state.content !== undefined && type !== 'file') throw bad('bytes of no file');
  return state;
}

function statOf(stat: Fields): Stat {
  const { ino, type, mode, uid, gid, size, nlink, rdev, atime, ctime, mtime, allocated } = stat;
  if (!types.has(type)) throw bad('a type');
  const device = rdev === undefined ? undefined : objectOf(rdev);
  return {
    ino: count(ino, 'ino'),
    type: type as FileType,
    mode: count(mode, 'mode') & 0o7777,
    uid: count(uid, 'uid'),
    gid: count(gid, 'gid'),
    size: count(size, 'size'),
    nlink: count(nlink, 'nlink'),
    mtime: timeOf(mtime),
    ...(device && {
      rdev: { major: count(device['major'], 'rdev'), minor: count(device['minor'], 'rdev') },
    }),
    ...(atime !== undefined && { atime: timeOf(atime) }),
    ...(ctime !== undefined && { ctime: timeOf(ctime) }),
    ...(allocated !== undefined && { allocated: count(allocated, 'allocated') }),
  };
}

function timeOf(value: unknown): Timestamp {
  const { seconds, nanoseconds } = objectOf(value);
  if (!Number.isSafeInteger(seconds)) throw bad('a time');
  const part = count(nanoseconds, 'nanoseconds');
  if (part > 999_999_999) throw bad('a time');
  return { seconds: seconds as number, nanoseconds: part };
}

function nameOf(value: unknown): readonly [string, number | null] {
  const [name, ino] = listOf(value, 'names');
  const text = textOf(name);
  checkName(text);
  return [text, ino === null ? null : count(ino, 'ino')];
}

function attributesOf(value: unknown): Map<string, Uint8Array> {
  const all = new Map<string, Uint8Array>();
  for (const pair of listOf(value, 'attributes')) {
    const [name, bytes] = listOf(pair, 'attributes');
    all.set(textOf(name), unhex(textOf(bytes)));
  }
  return all;
}

function contentOf({ size, lowerEnd, held, chunks }: Fields): ContentState {
  let bytes = 0;
  const places = listOf(chunks, 'chunks').map((place) => {
    const [index, length, offset, sum] = listOf(place, 'chunks').map((n) => count(n, 'chunks'));
    if (sum === undefined || length! > CHUNK || sum > 0xffff_ffff) throw bad('a chunk');
    bytes += length!;
    return [index!, { length: length!, offset: offset!, sum }] as const;
  });
  if (bytes !== held) throw bad('the size of chunks');
  return {
    size: count(size, 'size'),
    lowerEnd: count(lowerEnd, 'size'),
    held: bytes,
    chunks: places,
  };
}

/** One root, numbers that are there, and directories that have one place each: no loops. */
function checkWhole(nodes: readonly NodeState[]): void {
  const all = new Map(nodes.map((node) => [node.stat.ino, node]));
  const roots = nodes.filter(({ lowerPath }) => lowerPath === '');
  if (all.size !== nodes.length || roots.length !== 1) throw bad('nodes');
  if (roots[0]!.stat.type !== 'directory' || roots[0]!.parent !== undefined) throw bad('the root');
  const placed = new Set([roots[0]!.stat.ino]);
  for (const { parent, names } of nodes) {
    if (parent !== undefined && all.get(parent)?.stat.type !== 'directory') throw bad('a parent');
    for (const [, ino] of names) {
      const type = ino === null ? 'file' : all.get(ino)?.stat.type;
      if (type === undefined) throw bad('a name');
      if (type !== 'directory') continue;
      if (placed.has(ino!)) throw bad('a directory with two names');
      placed.add(ino!);
    }
  }
  checkParents(all);
}

/** Each way up must end. */
function checkParents(all: ReadonlyMap<number, NodeState>): void {
  const ending = new Set<number>();
  for (const node of all.values()) {
    const way = new Set<number>();
    for (let at: NodeState | undefined = node; at !== undefined; ) {
      const { ino } = at.stat;
      if (ending.has(ino)) break;
      if (way.has(ino)) throw bad('a directory within itself');
      way.add(ino);
      at = at.parent === undefined ? undefined : all.get(at.parent);
    }
    for (const ino of way) ending.add(ino);
  }
}

type Fields = Readonly<Record<string, unknown>>;

function objectOf(value: unknown): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw bad('a value');
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw bad(what);
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  throw bad('a text');
}

function count(value: unknown, what: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw bad(what);
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function unhex(text: string): Uint8Array {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw bad('a value');
  return Uint8Array.from(text.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));
}

function bad(what: string): VfsError {
  return new VfsError('VFS_INVALID', `Cannot restore an overlay: ${what} that no overlay has`);
}
