import { type Awaitable, decodeName, type Flow, flow, type Source } from '@anole/bytes';
import {
  type DirectoryEntry,
  type Extent,
  type FileType,
  type Stat,
  type Tree,
  type TreeNode,
  VfsError,
} from '@anole/vfs';
import { damaged } from '../errors.ts';
import { FORMAT_EXTENDED, layouts } from '../layout/inode.ts';
import type { DataReader } from './data.ts';
import type { ImageDevice } from './devices.ts';
import { findRecord, listDirectory, type Record } from './directory.ts';
import { type InodeInfo, inodeAtOnce, inoOf, nidOf, offsetOf, readInode } from './inode.ts';
import { loadAllMetadata } from './load-metadata.ts';
import type { Mapping } from './mapping.ts';
import { type OpenOptions, openImage } from './open.ts';
import type { Spaces } from './spaces.ts';
import type { ImageInfo } from './superblock.ts';
import { XattrReader } from './xattrs.ts';

/** An image as a Tree. */
export interface ErofsTree extends Tree {
  readonly root: ErofsNode;
  readonly info: ImageInfo;
  /** Devices beside the image that it names. */
  readonly devices: readonly ImageDevice[];
  /**
   * An inode by its number; those in the metabox have 2^52 added.
   *
   * @throws ErofsError `EROFS_BAD_INODE`, `EROFS_OUT_OF_RANGE` where none is there
   */
  node(nid: number): Awaitable<ErofsNode>;
  /** An inode by the number that its `stat` has, and Linux shows. @throws ErofsError as `node` */
  byIno(ino: number): Awaitable<ErofsNode>;
  /** The inode in which fragments lie, where the image has one. */
  packed(): Awaitable<ErofsNode | undefined>;
  /**
   * Reads all that Linux takes for metadata: for who brings them from afar, nobody looks at what was read.
   *
   * @throws ErofsError as reading does
   */
  loadMetadata(): Promise<void>;
}

/**
 * Opens an EROFS image. Answers are synchronous as long as the Source's are. Numbers of inodes are
 * those that Linux shows.
 *
 * Every number from the image is bounded before it is used. Reading what is damaged raises
 * `EROFS_BAD_INODE`, `EROFS_BAD_DIRECTORY`, `EROFS_BAD_DATA`, `EROFS_BAD_XATTR` or
 * `EROFS_OUT_OF_RANGE`; data on a device that was not given `EROFS_NO_DEVICE`. A directory that
 * is met under a second name is refused as damage, so a walk comes to an end.
 *
 * @throws ErofsError `EROFS_BAD_SUPERBLOCK`, `EROFS_UNSUPPORTED` and the above
 * @example
 * const tree = await openErofs(memorySource(bytes));
 * const node = await tree.root.lookup('etc');
 */
export function openErofs(source: Source, options: OpenOptions = {}): Awaitable<ErofsTree> {
  return flow(function* () {
    const { info, spaces, data, devices, prefixes } = yield* openImage(source, options);
    const image = new Image(info, spaces, data, new XattrReader(spaces, info, prefixes));
    const root = yield* readInode(spaces, info, info.rootNid);
    if (root.stat.type !== 'directory') {
      throw damaged('EROFS_BAD_INODE', `Cannot open: the root is a ${root.stat.type}`, root.offset);
    }
    image.enter(root.nid, root.nid, '');
    // Asked for as many times as there are files: a generator function made for each call takes longer than all else.
    const nodeOf = function* (nid: number) {
      return new ErofsNode(image, yield* readInode(spaces, info, nid));
    };
    const node = (nid: number) => {
      const inode = inodeAtOnce(spaces, info, nid);
      return inode ? new ErofsNode(image, inode) : flow(() => nodeOf(nid));
    };
    const packed = () =>
      flow(function* () {
        if (info.packedNid === undefined) return undefined;
        return new ErofsNode(image, yield* data.packedInode());
      });
    const byIno = (ino: number) => node(nidOf(info, ino));
    const loadMetadata = () => loadAllMetadata(image);
    return { root: new ErofsNode(image, root), info, devices, node, byIno, packed, loadMetadata };
  });
}

class Image {
  readonly info: ImageInfo;
  readonly spaces: Spaces;
  readonly data: DataReader;
  readonly xattrs: XattrReader;
  /** Under which name of which directory each directory was met. */
  readonly #places = new Map<number, string>();

  constructor(info: ImageInfo, spaces: Spaces, data: DataReader, xattrs: XattrReader) {
    this.info = info;
    this.spaces = spaces;
    this.data = data;
    this.xattrs = xattrs;
  }

  /**
   * Notes where a directory was met. Directories have one name; a damaged image could make a graph
   * of them that takes a walk forever.
   */
  enter(nid: number, parentNid: number, name: string): void {
    const place = `${parentNid}/${name}`;
    const known = this.#places.get(nid);
    if (known === undefined) this.#places.set(nid, place);
    else if (known !== place) {
      throw damaged(
        'EROFS_BAD_DIRECTORY',
        `Cannot enter ${name}: its directory has another name already`,
        offsetOf(this.info, nid),
      );
    }
  }
}

const none: ReadonlyMap<string, Uint8Array> = new Map();

/** Names that are remembered of one listing. */
const LISTED_MAX = 4096;

/** One inode of an image. */
export class ErofsNode implements TreeNode {
  readonly stat: Stat;
  readonly #image: Image;
  readonly #inode: InodeInfo;
  /** What was listed: who lists a directory looks up what is in it. */
  #records: readonly Record[] | undefined;
  /** Inodes of that by name, once something is looked up. */
  #listed: Map<string, number> | undefined;

  constructor(image: Image, inode: InodeInfo) {
    this.stat = inode.stat;
    this.#image = image;
    this.#inode = inode;
  }

  get nid(): number {
    return this.#inode.nid;
  }

  get isExtended(): boolean {
    return (this.#inode.format & FORMAT_EXTENDED) !== 0;
  }

  /** Bytes of the inode and its attributes. */
  get metadataSize(): number {
    const { offset, xattrOffset, xattrSize } = this.#inode;
    return xattrOffset + xattrSize - offset;
  }

  /** Where the data lie: one of `layouts`, by its name. */
  get layout(): keyof typeof layouts {
    const found = Object.entries(layouts).find(([, value]) => value === this.#inode.layout);
    return found![0] as keyof typeof layouts;
  }

  lookup(name: string): Awaitable<ErofsNode | undefined> {
    const { spaces, data, info } = this.#image;
    const known = this.#known(name);
    const inode = known === undefined ? undefined : inodeAtOnce(spaces, info, known);
    return inode
      ? this.#entered(name, inode)
      : flow(() => this.#lookup(name, data, info.blockSize));
  }

  *#lookup(name: string, data: DataReader, blockSize: number): Flow<ErofsNode | undefined> {
    this.#check('directory', 'VFS_NOT_DIRECTORY');
    if (name === '' || name === '.' || name === '..') return undefined;
    const known = this.#known(name);
    if (known !== undefined) return yield* this.#child(name, known);
    const record = yield* findRecord(data, this.#inode, blockSize, name);
    if (record === undefined) return undefined;
    return yield* this.#child(record.name, record.nid);
  }

  #known(name: string): number | undefined {
    if (this.#records) {
      const some = this.#records.slice(0, LISTED_MAX);
      this.#listed = new Map(some.map((record) => [record.name, record.nid]));
      this.#records = undefined;
    }
    return this.#listed?.get(name);
  }

  *#child(name: string, nid: number): Flow<ErofsNode> {
    return this.#entered(name, yield* readInode(this.#image.spaces, this.#image.info, nid));
  }

  #entered(name: string, inode: InodeInfo): ErofsNode {
    if (inode.stat.type === 'directory') this.#image.enter(inode.nid, this.#inode.nid, name);
    return new ErofsNode(this.#image, inode);
  }

  list(types?: ReadonlySet<FileType>): Awaitable<readonly DirectoryEntry[]> {
    return flow(() => this.#list(types));
  }

  *#list(types: ReadonlySet<FileType> | undefined): Flow<readonly DirectoryEntry[]> {
    this.#check('directory', 'VFS_NOT_DIRECTORY');
    const { data, info } = this.#image;
    const entries: DirectoryEntry[] = [];
    const records = yield* listDirectory(data, this.#inode, info.blockSize, types);
    for (const { name, nid, type } of records) {
      if (name === '.' || name === '..') continue;
      const known = type ?? (yield* this.#child(name, nid)).stat.type;
      entries.push({ name, type: known, ino: inoOf(info, nid) });
    }
    this.#records = records;
    return entries;
  }

  readLink(): Awaitable<string> {
    return flow(() => this.#readLink());
  }

  *#readLink(): Flow<string> {
    this.#check('symlink', 'VFS_NOT_SYMLINK');
    const target = yield* this.#image.data.read(this.#inode, 0, this.stat.size);
    const zero = target.indexOf(0);
    return decodeName(zero < 0 ? target : target.subarray(0, zero));
  }

  read(offset: number, length: number): Awaitable<Uint8Array> {
    return flow(() => this.#read(offset, length));
  }

  *#read(offset: number, length: number): Flow<Uint8Array> {
    this.#check('file', 'VFS_NOT_FILE');
    return yield* this.#image.data.read(this.#inode, offset, length);
  }

  readInto(offset: number, target: Uint8Array): Awaitable<number> {
    this.#check('file', 'VFS_NOT_FILE');
    const count = this.#image.data.readAtOnce(this.#inode, offset, target);
    return count ?? flow(() => this.#image.data.readInto(this.#inode, offset, target));
  }

  extents(): Awaitable<readonly Extent[]> {
    this.#check('file', 'VFS_NOT_FILE');
    const { data } = this.#image;
    if (data.isInOneRun(this.#inode)) return [{ offset: 0, length: this.stat.size }];
    return flow(() => data.extents(this.#inode));
  }

  /**
   * Where the byte at `offset` is stored, and those after it that lie with it. Of any type that holds
   * bytes.
   *
   * @throws ErofsError as `read`; AnoleError `SOURCE_OUT_OF_RANGE` where the node has no such byte
   */
  mapping(offset: number): Awaitable<Mapping> {
    return flow(() => this.#image.data.map(this.#inode, offset));
  }

  xattrs(): Awaitable<ReadonlyMap<string, Uint8Array>> {
    // Most have none.
    return this.#inode.xattrSize === 0 ? none : flow(() => this.#image.xattrs.all(this.#inode));
  }

  /** One attribute by its full name; where the image has a name filter, often without a read. */
  xattr(name: string): Awaitable<Uint8Array | undefined> {
    return flow(() => this.#xattr(name));
  }

  *#xattr(name: string): Flow<Uint8Array | undefined> {
    if (!(yield* this.#image.xattrs.mayHave(this.#inode, name))) return undefined;
    return (yield* this.#image.xattrs.all(this.#inode)).get(name);
  }

  #check(type: FileType, code: VfsError['code']): void {
    if (this.stat.type === type) return;
    throw new VfsError(
      code,
      `Cannot use inode ${this.#inode.nid} as a ${type}: it is a ${this.stat.type}`,
    );
  }
}
