import type { CallOptions } from '@anole/bytes';
import { type FileType, walk } from '@anole/vfs';
import type { ErofsNode, ErofsTree } from '../reader/tree.ts';
import { type StorageUsage, totalOf, type Usage, UsageMeter } from './usage.ts';

/** Files by what follows the last dot of their names; the rest has the key ''. */
const EXTENSIONS_KEPT = 10_000;

export interface Group {
  files: number;
  bytes: number;
  stored: number;
}

/** Where the bytes of an image go. */
export interface Inspection {
  readonly types: Readonly<Partial<Record<FileType, number>>>;
  /** Inodes by where their data lie. */
  readonly layouts: Readonly<Partial<Record<ErofsNode['layout'], number>>>;
  readonly names: number;
  /** Bytes of inodes with their attributes. */
  readonly inodeBytes: number;
  readonly extendedInodes: number;
  /** What files take, by how they are stored. */
  readonly files: Usage;
  /** What directories take. */
  readonly directories: StorageUsage;
  /** What the inode takes in which fragments lie. */
  readonly packed: StorageUsage | undefined;
  /** Of each directory below the root, and of the files beside them under `.`. */
  readonly top: ReadonlyMap<string, Readonly<Group>>;
  readonly extensions: ReadonlyMap<string, Readonly<Group>>;
  /** Files by size: entry n counts those below 2^n bytes that no entry before counts. */
  readonly sizes: readonly number[];
}

/**
 * Looks at all inodes of an image; reads no data.
 *
 * @throws ErofsError where metadata are damaged
 * @example
 * const { files } = await inspectErofs(await openErofs(source));
 * console.log(files.lz4); // { bytes, stored, extents }
 */
export async function inspectErofs(
  tree: ErofsTree,
  { signal, onProgress }: CallOptions = {},
): Promise<Inspection> {
  const inspector = new Inspector(tree);
  for await (const { path, node, linkTo } of walk(tree, signal && { signal })) {
    inspector.names++;
    if (linkTo === undefined) await inspector.node(path, node as ErofsNode);
    const total = Number(tree.info.inodes);
    onProgress?.({ step: 'inspect', done: inspector.names, total, unit: 'items' });
  }
  const packed = await tree.packed();
  if (packed) inspector.packed = totalOf(await inspector.meter.measure(packed));
  return inspector;
}

class Inspector implements Inspection {
  readonly meter: UsageMeter;
  readonly types: Partial<Record<FileType, number>> = {};
  readonly layouts: Partial<Record<ErofsNode['layout'], number>> = {};
  readonly files: Usage = {};
  readonly directories: StorageUsage = { bytes: 0, stored: 0, extents: 0 };
  readonly top = new Map<string, Group>();
  readonly extensions = new Map<string, Group>();
  readonly sizes: number[] = [];
  packed: StorageUsage | undefined;
  names = 0;
  inodeBytes = 0;
  extendedInodes = 0;

  constructor(tree: ErofsTree) {
    this.meter = new UsageMeter(tree);
  }

  async node(path: string, node: ErofsNode): Promise<void> {
    const { type, size } = node.stat;
    this.types[type] = (this.types[type] ?? 0) + 1;
    this.layouts[node.layout] = (this.layouts[node.layout] ?? 0) + 1;
    this.inodeBytes += node.metadataSize;
    if (node.isExtended) this.extendedInodes++;
    const usage = await this.meter.measure(node);
    const total = totalOf(usage);
    if (type === 'directory') addTo(this.directories, total);
    if (type !== 'file') return;
    for (const [storage, of] of Object.entries(usage)) {
      const key = storage as keyof Usage;
      this.files[key] ??= { bytes: 0, stored: 0, extents: 0 };
      addTo(this.files[key], of);
    }
    const step = Math.ceil(Math.log2(size + 1));
    for (let index = this.sizes.length; index <= step; index++) this.sizes.push(0);
    this.sizes[step]!++;
    const slash = path.indexOf('/');
    count(this.top, slash < 0 ? '.' : path.slice(0, slash), total);
    const extension = extensionOf(path);
    const isKept = this.extensions.has(extension) || this.extensions.size < EXTENSIONS_KEPT;
    count(this.extensions, isKept ? extension : '', total);
  }
}

function addTo(sum: StorageUsage, { bytes, stored, extents }: StorageUsage): void {
  sum.bytes += bytes;
  sum.stored += stored;
  sum.extents += extents;
}

function count(groups: Map<string, Group>, key: string, { bytes, stored }: StorageUsage): void {
  const group = groups.get(key) ?? { files: 0, bytes: 0, stored: 0 };
  group.files++;
  group.bytes += bytes;
  group.stored += stored;
  groups.set(key, group);
}

function extensionOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const dot = name.lastIndexOf('.');
  return dot > 0 ? name.slice(dot) : '';
}
