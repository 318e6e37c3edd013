import {
  allFileTypes,
  type DeviceNumber,
  type FileType,
  type Timestamp,
  type TreeNode,
} from '@anole/vfs';
import { NO_BLOCK } from '../layout/inode.ts';
import type { Chunks } from './chunks.ts';
import type { Compressed } from './compress/compressed.ts';
import { CompressedRecords } from './compress/compressed-records.ts';
import type { XattrItem } from './xattrs.ts';

/** What the scan finds out about an inode at once. */
export interface Found {
  readonly node: TreeNode;
  readonly type: FileType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: Timestamp;
  readonly rdev: DeviceNumber | undefined;
  /** Of one of its names, the last component and the directory it is in. */
  readonly name: string;
  readonly above: Inode | undefined;
}

const noXattrs: readonly XattrItem[] = [];

/** Numbers of some inodes, a column for each: as fields of objects they take several times the room. */
class Columns {
  /** Of the first row. */
  readonly ino: number;
  readonly type: Uint8Array;
  readonly extended: Uint8Array;
  readonly mode: Uint16Array;
  readonly uid: Uint32Array;
  readonly gid: Uint32Array;
  readonly nlink: Uint32Array;
  readonly nanoseconds: Uint32Array;
  readonly xattrSize: Uint32Array;
  readonly tailSize: Uint32Array;
  readonly startBlock: Uint32Array;
  readonly size: Float64Array;
  readonly seconds: Float64Array;
  readonly nid: Float64Array;
  readonly blocks: Float64Array;
  /** Addresses in `records`, or 0. */
  readonly compressed: Uint32Array;
  readonly records: CompressedRecords;

  constructor(ino: number, rows: number, records: CompressedRecords) {
    this.ino = ino;
    this.records = records;
    this.type = new Uint8Array(rows);
    this.extended = new Uint8Array(rows);
    this.mode = new Uint16Array(rows);
    this.uid = new Uint32Array(rows);
    this.gid = new Uint32Array(rows);
    this.nlink = new Uint32Array(rows);
    this.nanoseconds = new Uint32Array(rows);
    this.xattrSize = new Uint32Array(rows);
    this.tailSize = new Uint32Array(rows);
    this.startBlock = new Uint32Array(rows).fill(NO_BLOCK);
    this.size = new Float64Array(rows);
    this.seconds = new Float64Array(rows);
    this.nid = new Float64Array(rows);
    this.blocks = new Float64Array(rows);
    this.compressed = new Uint32Array(rows);
  }
}

/** What few inodes have. */
interface Rare {
  xattrs: readonly XattrItem[];
  target: Uint8Array | undefined;
  directory: Directory | undefined;
  chunks: Chunks | undefined;
  rdev: DeviceNumber | undefined;
}

/**
 * What the writer knows of one inode. The scan fills the first half, the plan the second. There is one
 * for each file of a tree: what can be told from others is not kept, and numbers are in columns.
 */
export class Inode {
  /** Or its place among the entries of the directory above, which makes it again. */
  #node: TreeNode | number;
  readonly name: string;
  readonly above: Inode | undefined;
  readonly #columns: Columns;
  readonly #row: number;
  #rare: Rare | undefined = undefined;

  private constructor(columns: Columns, row: number, { node, name, above }: Found) {
    this.#columns = columns;
    this.#row = row;
    this.#node = node;
    this.name = name;
    this.above = above;
  }

  /** @param ino of the first; later ones count on */
  static maker(ino: number, rows = ROWS): (found: Found) => Inode {
    const records = new CompressedRecords();
    let columns: Columns | undefined;
    let row = 0;
    return (found) => {
      if (columns === undefined || row === rows) {
        const first = columns === undefined ? ino : columns.ino + rows;
        columns = new Columns(first, rows, records);
        row = 0;
      }
      const inode = new Inode(columns, row, found);
      inode.#fill(found);
      row++;
      return inode;
    };
  }

  #fill({ type, mode, uid, gid, size, mtime, rdev }: Found): void {
    const columns = this.#columns;
    const row = this.#row;
    columns.type[row] = allFileTypes.indexOf(type);
    columns.mode[row] = mode;
    columns.uid[row] = uid;
    columns.gid[row] = gid;
    columns.size[row] = size;
    columns.seconds[row] = mtime.seconds;
    columns.nanoseconds[row] = mtime.nanoseconds;
    if (rdev) this.#have().rdev = rdev;
  }

  get node(): TreeNode {
    if (typeof this.#node !== 'number') return this.#node;
    return this.above!.directory!.nodes!(this.#node, this.name);
  }

  /** Lets go of the node: the directory above can make it again. */
  release(place: number): void {
    this.#node = place;
  }

  /** From 1, in the order of the scan. */
  get ino(): number {
    return this.#columns.ino + this.#row;
  }

  get type(): FileType {
    return allFileTypes[this.#columns.type[this.#row]!]!;
  }

  get mode(): number {
    return this.#columns.mode[this.#row]!;
  }

  get uid(): number {
    return this.#columns.uid[this.#row]!;
  }

  get gid(): number {
    return this.#columns.gid[this.#row]!;
  }

  /** Of the modification time; it has nanoseconds, too. */
  get seconds(): number {
    return this.#columns.seconds[this.#row]!;
  }

  get nanoseconds(): number {
    return this.#columns.nanoseconds[this.#row]!;
  }

  /** Bytes of file data, link target or directory records. */
  get size(): number {
    return this.#columns.size[this.#row]!;
  }

  set size(size: number) {
    this.#columns.size[this.#row] = size;
  }

  /** Names found in the tree; of a directory 2 and one for each directory in it. */
  get nlink(): number {
    return this.#columns.nlink[this.#row]!;
  }

  set nlink(count: number) {
    this.#columns.nlink[this.#row] = count;
  }

  get extended(): boolean {
    return this.#columns.extended[this.#row] === 1;
  }

  set extended(extended: boolean) {
    this.#columns.extended[this.#row] = extended ? 1 : 0;
  }

  /** Bytes of attributes after the inode. */
  get xattrSize(): number {
    return this.#columns.xattrSize[this.#row]!;
  }

  set xattrSize(size: number) {
    this.#columns.xattrSize[this.#row] = size;
  }

  /** Bytes that lie beside the inode. */
  get tailSize(): number {
    return this.#columns.tailSize[this.#row]!;
  }

  set tailSize(size: number) {
    this.#columns.tailSize[this.#row] = size;
  }

  /** In units of 32 bytes from the start of the image. */
  get nid(): number {
    return this.#columns.nid[this.#row]!;
  }

  set nid(nid: number) {
    this.#columns.nid[this.#row] = nid;
  }

  /** First block of data, or NO_BLOCK. */
  get startBlock(): number {
    return this.#columns.startBlock[this.#row]!;
  }

  set startBlock(block: number) {
    this.#columns.startBlock[this.#row] = block;
  }

  /** Blocks of data. */
  get blocks(): number {
    return this.#columns.blocks[this.#row]!;
  }

  set blocks(count: number) {
    this.#columns.blocks[this.#row] = count;
  }

  get rdev(): DeviceNumber | undefined {
    return this.#rare?.rdev;
  }

  get xattrs(): readonly XattrItem[] {
    return this.#rare?.xattrs ?? noXattrs;
  }

  set xattrs(xattrs: readonly XattrItem[]) {
    this.#have().xattrs = xattrs;
  }

  get target(): Uint8Array | undefined {
    return this.#rare?.target;
  }

  set target(target: Uint8Array) {
    this.#have().target = target;
  }

  get directory(): Directory | undefined {
    return this.#rare?.directory;
  }

  set directory(directory: Directory) {
    this.#have().directory = directory;
  }

  /** Of a file with holes worth keeping. */
  get chunks(): Chunks | undefined {
    return this.#rare?.chunks;
  }

  set chunks(chunks: Chunks | undefined) {
    if (chunks !== this.chunks) this.#have().chunks = chunks;
  }

  get isCompressed(): boolean {
    return this.#columns.compressed[this.#row] !== 0;
  }

  /** Of a file that is stored compressed. Made anew each time. */
  get compressed(): Compressed | undefined {
    const address = this.#columns.compressed[this.#row]!;
    return address === 0 ? undefined : this.#columns.records.at(address);
  }

  set compressed(compressed: Compressed) {
    this.#columns.compressed[this.#row] = this.#columns.records.add(compressed);
  }

  /** One of its names, for messages. */
  get path(): string {
    const { above } = this;
    if (above === undefined) return this.name;
    return above.above === undefined ? `/${this.name}` : `${above.path}/${this.name}`;
  }

  #have(): Rare {
    this.#rare ??= {
      xattrs: noXattrs,
      target: undefined,
      directory: undefined,
      chunks: undefined,
      rdev: undefined,
    };
    return this.#rare;
  }
}

/** Rows of which columns are made at once. */
const ROWS = 4096;

export interface Directory {
  readonly parent: Inode;
  /** Sorted by their bytes, `.` and `..` among them. */
  readonly names: readonly string[];
  /** Beside `names`. */
  readonly children: readonly Inode[];
  /** Makes nodes again that those of its children have let go of. */
  readonly nodes?: (place: number, name: string) => TreeNode;
}
