import {
  type CallOptions,
  type Flow,
  flow,
  type Hash,
  isPromise,
  Pacer,
  type Source,
} from '@anole/bytes';
import { checkedEnd } from '../checksum.ts';
import type { Decoders } from '../codecs.ts';
import { DEVICE_SLOT_SIZE } from '../layout/device.ts';
import { FORMAT_ALL } from '../layout/inode.ts';
import { IN_METABOX, nidOf } from '../layout/nid.ts';
import { COMPAT_RAFS, SUPERBLOCK_OFFSET } from '../layout/superblock.ts';
import { type InodeInfo, offsetOf, readInode } from '../reader/inode.ts';
import type { Metadata } from '../reader/metadata.ts';
import { type OpenedImage, openImage } from '../reader/open.ts';
import { verifySuperblock } from '../reader/superblock.ts';
import { readWindows } from '../reader/windows.ts';
import { Budget, SlotClaims } from './claims.ts';
import { DataCheck } from './data.ts';
import { DigestCheck } from './digests.ts';
import { DirectoryCheck } from './directory.ts';
import { type Finding, Findings, type Place } from './findings.ts';
import { LinuxReads } from './linux-reads.ts';
import { XattrCheck } from './xattrs.ts';

export interface CheckOptions extends CallOptions {
  /** Where data lie that are not in the image, in the order of its device table. */
  readonly devices?: readonly Source[];
  readonly decoders?: Decoders;
  /** Whether compressed data are decoded. Default true; without, metadata alone are read. */
  readonly data?: boolean;
  /** Begins a SHA-256, where files are to be compared with the digests in their attributes. */
  readonly sha256?: () => Hash;
  /** Findings to keep in the report. Default 1000; all are counted. */
  readonly limit?: number;
  /** Gets every finding as it is made. */
  onFinding?(finding: Finding): void;
}

export interface CheckReport {
  /** The first ones, in the order in which they were met. */
  readonly findings: readonly Finding[];
  readonly errors: number;
  readonly warnings: number;
  /** What was met by walking from the root. */
  readonly inodes: number;
  readonly names: number;
  /** Of the image itself. */
  readonly blocks: {
    readonly total: number;
    readonly metadata: number;
    readonly data: number;
    /** Data that several files or places use: deduplicated. */
    readonly shared: number;
    /** Nothing refers to them. */
    readonly unused: number;
  };
}

/**
 * Checks an image wholly: each structure, each reference, that each block is used once or shared on
 * purpose, the checksum, and that all compressed data decode. It goes on behind what is damaged.
 *
 * Takes a byte for each block in use and for each 32 bytes of metadata, and a little for each
 * directory and hard link still to come.
 *
 * @throws what the Source does, or the signal; never for what is in the image
 * @example
 * const { errors, findings } = await checkErofs(source);
 * for (const { message, meaning } of findings) console.log(`${message}: ${meaning}`);
 */
export async function checkErofs(source: Source, options: CheckOptions = {}): Promise<CheckReport> {
  const findings = new Findings(options.limit ?? 1000, options.onFinding);
  const linux = new LinuxReads(options.decoders);
  let image: OpenedImage;
  try {
    const { devices } = options;
    const { decoders } = linux;
    // What is decoded is looked at once only.
    const open = { decodedCache: 0, decoders, ...(devices && { devices }) };
    image = await flow(() => openImage(source, open, false));
    linux.windows = await flow(() => readWindows(source, image.info));
  } catch (thrown) {
    findings.raised(thrown);
    return reportOf(findings);
  }
  return await new Check(image, source, findings, linux, options).run();
}

function reportOf(findings: Findings, rest: Partial<CheckReport> = {}): CheckReport {
  const { kept, errors, warnings } = findings;
  const blocks = { total: 0, metadata: 0, data: 0, shared: 0, unused: 0 };
  return { findings: kept, errors, warnings, inodes: 0, names: 0, blocks, ...rest };
}

/** Steps of claiming: far more than images need whose every block is shared often. */
const SPARE_STEPS = 10_000_000;
const STEPS_PER_BYTE = 1;

/** A directory still to be read. */
interface Pending {
  readonly inode: InodeInfo;
  readonly parentNid: number;
  readonly path: string;
}

interface Links {
  readonly wanted: number;
  readonly path: string;
  readonly offset: number;
  seen: number;
}

class Check {
  readonly #image: OpenedImage;
  readonly #source: Source;
  readonly #findings: Findings;
  readonly #options: CheckOptions;
  readonly #budget: Budget;
  readonly #slots = new Map<Metadata, SlotClaims>();
  readonly #data: DataCheck;
  readonly #xattrs: XattrCheck;
  readonly #digests: DigestCheck | undefined;
  readonly #directories: DirectoryCheck;
  readonly #pending: Pending[] = [];
  /** Files with several names, until all of them were met. */
  readonly #links = new Map<number, Links>();
  #inodes = 0;
  #names = 0;

  constructor(
    image: OpenedImage,
    source: Source,
    findings: Findings,
    linux: LinuxReads,
    options: CheckOptions,
  ) {
    this.#image = image;
    this.#source = source;
    this.#findings = findings;
    this.#options = options;
    const slots = (space: Metadata) => this.#slotsOf(space);
    const sizes = [source.size, ...(options.devices ?? []).map(({ size }) => size)];
    const all = sizes.reduce((sum, size) => sum + size, 0);
    this.#budget = new Budget(SPARE_STEPS + all * STEPS_PER_BYTE);
    this.#data = new DataCheck(image, findings, {
      slots,
      sizes,
      decode: options.data ?? true,
      linux,
      budget: this.#budget,
    });
    this.#xattrs = new XattrCheck(image, findings, slots);
    const { sha256 } = options;
    this.#digests = sha256 && new DigestCheck(image, findings, sha256, all);
    this.#directories = new DirectoryCheck(image, findings);
  }

  async run(): Promise<CheckReport> {
    const { info } = this.#image;
    await this.#step({}, () => this.#superblock());
    await this.#step({}, () => this.#hidden('the packed inode', info.packedNid));
    await this.#step({}, () => this.#hidden('the metabox', info.metaboxNid));
    await this.#step({ path: '/' }, () => this.#root());
    const pacer = new Pacer();
    for (let next = this.#pending.pop(); next !== undefined; next = this.#pending.pop()) {
      const directory = next;
      const { signal, onProgress } = this.#options;
      signal?.throwIfAborted();
      const total = Number(info.inodes);
      onProgress?.({ step: 'check', done: this.#inodes, total, unit: 'items' });
      await this.#step({ path: directory.path }, () => this.#directory(directory));
      const turn = pacer.turn();
      if (turn) await turn;
    }
    this.#count();
    return this.#report();
  }

  /** Runs steps; what is raised about the image is a finding. */
  async #step(place: Place, steps: () => Flow<void>): Promise<void> {
    try {
      const done = flow(steps);
      if (isPromise(done)) await done;
    } catch (thrown) {
      this.#findings.raised(thrown, place);
    }
  }

  get #isRafs(): boolean {
    return (this.#image.info.featureCompat & COMPAT_RAFS) !== 0;
  }

  *#superblock(): Flow<void> {
    const { info } = this.#image;
    const end = checkedEnd(info.blockSize);
    this.#data.blocks(0).claimMetadata(SUPERBLOCK_OFFSET, end - SUPERBLOCK_OFFSET);
    const table = info.extraDevices * DEVICE_SLOT_SIZE;
    if (table > 0) this.#data.blocks(0).claimMetadata(info.deviceTableOffset, table);
    const wanted = info.blocks * info.blockSize;
    // RAFS counts the blocks of its devices there, and names as inodes.
    if (wanted > this.#source.size && !this.#isRafs) {
      const message = `The image has ${this.#source.size} bytes, its superblock says ${wanted}`;
      this.#findings.add('EROFS_TRUNCATED', message, { offset: this.#source.size });
    }
    if (!info.hasChecksum) return;
    try {
      yield* verifySuperblock(this.#source, info);
    } catch (thrown) {
      const message = thrown instanceof Error ? thrown.message : String(thrown);
      this.#findings.add('EROFS_CHECKSUM', message, { offset: SUPERBLOCK_OFFSET + 4 });
    }
  }

  /** An inode that no directory names. */
  *#hidden(name: string, nid: bigint | undefined): Flow<void> {
    if (nid === undefined) return;
    const number = nidOf(Number(nid & 0xffffffffn), Number(nid >> 32n));
    const inode = yield* readInode(this.#image.spaces, this.#image.info, number);
    yield* this.#inode(inode, name);
  }

  *#root(): Flow<void> {
    const { spaces, info } = this.#image;
    const inode = yield* readInode(spaces, info, info.rootNid);
    if (inode.stat.type !== 'directory') {
      const message = `The root is a ${inode.stat.type}`;
      this.#findings.add('EROFS_BAD_INODE', message, { nid: inode.nid, offset: inode.offset });
      return;
    }
    if (yield* this.#inode(inode, '/')) {
      this.#pending.push({ inode, parentNid: inode.nid, path: '' });
    }
  }

  *#directory({ inode, parentNid, path }: Pending): Flow<void> {
    const place = { path: path || '/', nid: inode.nid, offset: inode.offset };
    const { children, complete } = yield* this.#directories.list(inode, parentNid, place);
    let directories = 0;
    for (const { name, nid, type } of children) {
      this.#names++;
      const below = `${path}/${name}`;
      const where = { path: below, nid };
      try {
        const child = yield* readInode(this.#image.spaces, this.#image.info, nid);
        if (type !== undefined && type !== child.stat.type) {
          const message = `The entry says ${type}, the inode is a ${child.stat.type}`;
          this.#findings.add('EROFS_ENTRY_TYPE', message, { ...where, offset: child.offset });
        }
        if (child.stat.type === 'directory') directories++;
        yield* this.#child(child, inode.nid, below);
      } catch (thrown) {
        this.#findings.raised(thrown, { ...where, offset: offsetOf(this.#image.info, nid) });
      }
    }
    // Some writers do not count, and say 1.
    const { nlink } = inode.stat;
    if (complete && nlink !== 1 && nlink !== directories + 2) {
      const message = `It has ${nlink} links, but ${directories} directories lie in it`;
      this.#findings.add('EROFS_LINK_COUNT', message, place);
    }
  }

  *#child(inode: InodeInfo, parentNid: number, path: string): Flow<void> {
    const { nid, offset, stat } = inode;
    const isMet = this.#slotsOf(inode.space).isInode(offset);
    if (stat.type === 'directory') {
      if (isMet) {
        const message = 'The directory has another name already';
        this.#findings.add('EROFS_TWO_PARENTS', message, { path, nid, offset });
      } else if (yield* this.#inode(inode, path)) this.#pending.push({ inode, parentNid, path });
      return;
    }
    if (isMet) this.#anotherName(inode, path);
    else {
      yield* this.#inode(inode, path);
      if (stat.nlink !== 1) this.#links.set(nid, { wanted: stat.nlink, path, offset, seen: 1 });
    }
  }

  #anotherName({ nid, offset, stat }: InodeInfo, path: string): void {
    const links = this.#links.get(nid);
    if (links !== undefined && ++links.seen === links.wanted) this.#links.delete(nid);
    else if (links === undefined) {
      const message = `It has more names than the ${stat.nlink} it says`;
      this.#findings.add('EROFS_LINK_COUNT', message, { path, nid, offset });
    }
  }

  /** Checks an inode met for the first time; false where it is not worth going into. */
  *#inode(inode: InodeInfo, path: string): Flow<boolean> {
    this.#inodes++;
    const { nid, offset, space, format } = inode;
    const place = { path, nid, offset };
    if ((format & ~FORMAT_ALL) !== 0) {
      const message = `Its format is 0x${format.toString(16)}`;
      this.#findings.add('EROFS_UNKNOWN_FIELD', message, place);
    }
    try {
      const length = yield* this.#lengthOf(inode);
      yield* space.read(offset + length, 0, `inode ${nid}`);
      const other = this.#slotsOf(space).claim(offset, length, true);
      const block =
        nid < IN_METABOX ? this.#data.blocks(0).claimMetadata(offset, length) : undefined;
      if (other !== undefined || block !== undefined) {
        const message = `Its ${length} bytes lie on something else`;
        this.#findings.add('EROFS_OVERLAP', message, { ...place, offset: other ?? block });
        return false;
      }
    } catch (thrown) {
      this.#findings.raised(thrown, place);
      return false;
    }
    yield* this.#contents(inode, place);
    return true;
  }

  *#contents(inode: InodeInfo, place: Place): Flow<void> {
    try {
      yield* this.#xattrs.inode(inode, place);
    } catch (thrown) {
      this.#findings.raised(thrown, place);
    }
    try {
      const stored = yield* this.#data.inode(inode, place);
      if (stored === undefined) return;
      if (inode.stat.type === 'symlink') yield* this.#target(inode, place);
      else if (this.#digests) yield* this.#digests.file(inode, place);
    } catch (thrown) {
      this.#findings.raised(thrown, place);
    }
  }

  *#target(inode: InodeInfo, place: Place): Flow<void> {
    const target = yield* this.#image.data.read(inode, 0, inode.stat.size);
    const bad = target.length === 0 ? 'is empty' : target.includes(0) ? 'holds a zero' : undefined;
    if (bad) this.#findings.add('EROFS_BAD_INODE', `Its link target ${bad}`, place);
  }

  /** Bytes of an inode with its attributes and what tells where its data lie. */
  *#lengthOf(inode: InodeInfo): Flow<number> {
    const behind = inode.stat.size === 0 ? 0 : yield* this.#image.data.indexSize(inode);
    return inode.xattrOffset + inode.xattrSize + behind - inode.offset;
  }

  #count(): void {
    for (const [nid, { wanted, seen, path, offset }] of this.#links) {
      const message = `It has ${seen} names and says ${wanted}`;
      this.#findings.add('EROFS_LINK_COUNT', message, { path, nid, offset });
    }
    if (this.#budget.isSpent) {
      const message = 'Blocks are shared so often that not all sharing was followed';
      this.#findings.add('EROFS_UNKNOWN_FIELD', message);
    }
    const { inodes } = this.#image.info;
    // What cannot be reached because of damage is not missing.
    if (this.#findings.errors > 0 || inodes === BigInt(this.#inodes) || this.#isRafs) return;
    const message = `The superblock says ${inodes} inodes, ${this.#inodes} were met`;
    this.#findings.add('EROFS_INODE_COUNT', message, { offset: SUPERBLOCK_OFFSET + 16 });
  }

  #report(): CheckReport {
    const { used, metadata, shared } = this.#data.blocks(0).counts();
    const total = this.#image.info.blocks;
    const unused = Math.max(0, total - used);
    const blocks = { total, metadata, data: used - metadata, shared, unused };
    return reportOf(this.#findings, { inodes: this.#inodes, names: this.#names, blocks });
  }

  #slotsOf(space: Metadata): SlotClaims {
    let claims = this.#slots.get(space);
    if (claims === undefined) {
      claims = new SlotClaims(this.#budget);
      this.#slots.set(space, claims);
    }
    return claims;
  }
}
