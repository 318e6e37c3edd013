import type { CallOptions } from '@anole/bytes';
import { HostError } from '@anole/host';
import { unmount } from '@anole/host/native';
import type { CachedBlob } from '../cache/blob.ts';
import { BlobCache, type Evicted } from '../cache/cache.ts';
import type { Pace } from '../cache/pace.ts';
import { Scrub } from '../cache/scrub.ts';
import type { BlobEvents } from '../cache/surroundings.ts';
import { BlobPool } from '../on-demand/blob-pool.ts';
import type { ImageBlobs, OnDemandImage, OnDemandReference } from '../on-demand/image.ts';
import { WholeFiles } from '../passing/whole-files.ts';
import { makePrivate } from './cache-place.ts';
import { DetachedMounts, type Served } from './detached.ts';
import { descriptorNames } from './fuse-mount.ts';
import { OpenImages } from './images.ts';
import { filesAmong } from './kernel-mount.ts';
import { type Left, leftOf } from './left-descriptors.ts';
import type { ImageMount, MountWish } from './mount.ts';
import { type MakerOptions, MountMaker } from './mount-maker.ts';
import type { Legacy, MountRecord } from './mount-record.ts';
import { MountTable, pathOf } from './mount-table.ts';
import { areTooMany, cannotEnd, isCovered, isFree, isTaken } from './refusals.ts';
import {
  type CacheUsage,
  figuresOf,
  type MountReport,
  reportOf,
  type ServiceStatus,
} from './status.ts';
import { StrandedMounts } from './stranded.ts';
import { Tidying } from './tidying.ts';
import { Turns } from './turns.ts';

/** Mounts through FUSE at most: each has descriptors that the keeper and its holder have, too. */
const MOST_THROUGH_FUSE = 1000;

export interface ServiceOptions extends MakerOptions, BlobEvents {
  readonly quota?: number;
  /** Of the link by which blobs come, where it has a bound. */
  readonly pace?: Pace;
  /** Gives what an image is made of. Nobody is to be asked before the first byte is needed. */
  blobs(image: OnDemandReference): ImageBlobs;
  /** Others may enter the cache's directory, which was there before. What is in it is for its owner alone. */
  onOpenToOthers?(cache: string): void;
  /** Told whenever mounts come or go, which is not over before it resolves. */
  onMounts?(mounts: readonly MountRecord[]): Promise<void>;
  /** A mount of the former service cannot be taken over yet. It is tried again. */
  onStranded?(mount: MountRecord, error: unknown): void;
  /** Somebody else has unmounted it. */
  onGone?(mount: MountRecord): void;
}

/** Mounts images whose data come when they are read, and keeps what has come. */
export class ImageService {
  readonly cache: BlobCache;
  readonly #options: ServiceOptions;
  readonly #pool: BlobPool;
  readonly #images: OpenImages;
  readonly #maker: MountMaker;
  readonly #mounts = new Map<string, Served>();
  readonly #detached = new DetachedMounts(
    () => this.#aside(this.#changed()),
    (error) => this.#options.onFault?.(error),
  );
  readonly #stranded = new StrandedMounts({
    onFailure: (mount, error) => this.#options.onStranded?.(mount, error),
    onChange: () => this.#aside(this.#changedStranded()),
  });
  readonly #tidying = new Tidying(() => this.#pool.memory.contents.clear());
  readonly #scrub: Scrub;
  /** Of each directory: what is to be mounted there waits for what is being unmounted. */
  readonly #turns = new Turns();
  /** What is being mounted. */
  readonly #beginning = new Set<MountRecord>();

  private constructor(options: ServiceOptions, legacy?: Legacy) {
    const { cache, quota, pace, onDamaged, onUnhealed } = options;
    this.#options = options;
    this.cache = new BlobCache(cache, {
      ...(quota !== undefined && { quota }),
      pace,
      ...(onDamaged && { onDamaged }),
      ...(onUnhealed && { onUnhealed }),
    });
    this.#scrub = new Scrub(() => this.cache.opened);
    const files = legacy && filesAmong(legacy.descriptors);
    this.#pool = new BlobPool(this.cache, files);
    this.#images = new OpenImages(this.#pool);
    this.#maker = new MountMaker(options);
  }

  /** Begins, going on where another ended. @throws HostError */
  static async start(options: ServiceOptions, legacy?: Legacy): Promise<ImageService> {
    const service = new ImageService(options, legacy);
    if (!(await makePrivate(options.cache))) options.onOpenToOthers?.(options.cache);
    service.#aside(WholeFiles.dropFormer(options.cache));
    if (legacy) await service.#takeOver(legacy);
    return service;
  }

  /** What is mounted, and what is not any more but in use. */
  get mounts(): readonly MountRecord[] {
    const served = [...this.#mounts.values(), ...this.#detached.all].map(({ record, mount }) => ({
      ...record,
      ...(mount.agreed !== undefined && { agreed: mount.agreed }),
      ...(mount.calmed?.readAhead && { readAhead: mount.calmed.readAhead }),
    }));
    return [...served, ...this.#stranded.records];
  }

  /** What others have unmounted is forgotten. */
  status(): ServiceStatus {
    const table = MountTable.read();
    this.#aside(this.#dropGhosts(table));
    const served = [...this.#mounts.values()].map(({ record, mount }) => ({
      ...reportOf(record, mount),
      ...figuresOf(mount.blobs, mount.failures),
    }));
    const stranded = this.#stranded.records.filter(({ isDetached }) => !isDetached);
    const all = [...served, ...stranded.map((each) => ({ ...each, ...figuresOf([], 0) }))];
    return { mounts: all.filter((each) => table.has(each)) };
  }

  /**
   * Mounts an image on a directory.
   *
   * @param options a signal that is aborted before it is mounted undoes it
   * @throws HostError `HOST_EXISTS` where this service has something mounted there, and as the mounts
   */
  async mount(
    image: OnDemandReference,
    at: string,
    { kind = this.#options.group === undefined ? 'fuse' : 'kernel', ...rights }: MountWish = {},
    options: CallOptions = {},
  ): Promise<MountReport> {
    const directory = await pathOf(at);
    return await this.#turns.run(directory, async () => {
      await this.#dropGhost(directory);
      if (this.#recordOn(directory) !== undefined) throw isTaken(directory);
      const wanted = { directory, kind, image, since: Date.now(), ...rights };
      const throughFuse = [...this.#beginning, ...this.mounts].filter(
        (each) => each.kind === 'fuse',
      );
      if (kind === 'fuse' && throughFuse.length >= MOST_THROUGH_FUSE) {
        throw areTooMany(MOST_THROUGH_FUSE);
      }
      this.#beginning.add(wanted);
      return await this.#mountOn(wanted, options).finally(() => this.#beginning.delete(wanted));
    });
  }

  async #mountOn(wanted: MountRecord, options: CallOptions): Promise<MountReport> {
    const { directory, image } = wanted;
    // Others may wait for the same image to open, and go on waiting where this one gives up.
    const opened = await this.open(image);
    try {
      const mount = await this.#maker.make(opened, wanted);
      const device = MountTable.read().deviceOn(directory);
      const record = { ...wanted, ...(device !== undefined && { device }) };
      this.#mounts.set(directory, { record, mount });
      await this.#changed();
      // Who asked is gone, and nobody knows of it.
      if (options.signal?.aborted) await this.#unmountFrom(directory).then(() => this.#changed());
      options.signal?.throwIfAborted();
      return reportOf(record, mount);
    } catch (error) {
      if (!this.#mounts.has(directory)) await opened.close();
      throw error;
    }
  }

  /** Opens an image to read it in this process. Who gets it closes it, before the service is closed. */
  open(image: OnDemandReference, options: CallOptions = {}): Promise<OnDemandImage> {
    return this.#images.open(image, () => this.#options.blobs(image), options);
  }

  /**
   * Unmounts. What an overlay or another name space still has is filled on, until it has it no more.
   *
   * @throws HostError `HOST_NOT_FOUND`, `HOST_IO` where it is in use
   */
  async unmount(at: string): Promise<void> {
    const directory = await pathOf(at);
    await this.#turns.run(directory, async () => {
      if (await this.#dropGhost(directory)) return;
      await this.#unmountFrom(directory);
      await this.#changed();
    });
  }

  async #unmountFrom(directory: string): Promise<void> {
    const record = this.#recordOn(directory);
    if (record === undefined) throw isFree(directory);
    if (!MountTable.read().shows(record)) throw isCovered(directory);
    const served = this.#mounts.get(directory);
    if (served) await served.mount.unmount();
    else unmount(directory, { lazy: record.kind === 'fuse' });
    await this.#forget(record);
  }

  /** What this service, or the one before it, has mounted on a directory. */
  #recordOn(directory: string): MountRecord | undefined {
    const isThere = (each: MountRecord) => each.directory === directory && !each.isDetached;
    return this.#mounts.get(directory)?.record ?? this.#stranded.records.find(isThere);
  }

  /** Its directory does not have it any more: it is given up as soon as nobody has it. */
  async #forget(record: MountRecord): Promise<void> {
    const served = this.#mounts.get(record.directory);
    if (served) {
      this.#mounts.delete(record.directory);
      return await this.#detached.add(served);
    }
    this.#stranded.unmounted(record);
    if (record.kind !== 'fuse') return;
    for (const name of Object.values(descriptorNames(record))) this.#options.keeper.release(name);
    await this.#letGoInherited();
  }

  /** Forgets what somebody else has unmounted. In the directory's turn. @returns whether it was so */
  async #dropGhost(directory: string): Promise<boolean> {
    const record = this.#recordOn(directory);
    if (record === undefined || MountTable.read().has(record)) return false;
    this.#options.onGone?.(record);
    await this.#forget(record);
    await this.#changed();
    return true;
  }

  async #dropGhosts(table = MountTable.read()): Promise<void> {
    const ghosts = this.mounts.filter((each) => !each.isDetached && !table.has(each));
    for (const { directory } of ghosts) {
      await this.#turns.run(directory, () => this.#dropGhost(directory));
    }
  }

  /** What is in the cache. @throws HostError; the disk */
  async usage(): Promise<CacheUsage> {
    const [blobs, whole] = await Promise.all([this.cache.list(), this.#maker.wholeFiles.bytes()]);
    return { blobs, whole };
  }

  /**
   * Removes whole files, which can be made again, and then blobs that nobody uses, until all take `quota` bytes at most.
   *
   * @throws HostError; the disk
   */
  async evict(quota: number): Promise<Evicted & { readonly whole: number }> {
    const { blobs, whole } = await this.usage();
    const ofBlobs = blobs.reduce((sum, { bytes }) => sum + bytes, 0);
    const freed = await this.#maker.wholeFiles.evict(Math.max(0, quota - ofBlobs));
    const evicted = await this.cache.evict(Math.max(0, quota - (whole - freed)));
    return { ...evicted, whole: freed };
  }

  /**
   * Unmounts everything. An image that is in use stays mounted, and is fetched whole before: then it
   * needs no service any more.
   *
   * @returns the directories of those
   * @throws what fetching raises; then the service goes on
   */
  async close(): Promise<readonly string[]> {
    const stuck: ImageMount[] = [];
    await this.#dropGhosts();
    // Nobody could tell whether an overlay still has it, whose holes would be read as zeros.
    const unknown = this.#stranded.records.find(({ kind }) => kind === 'kernel');
    if (unknown) throw cannotEnd(unknown.directory);
    this.#stranded.close();
    for (const { directory } of this.#stranded.records) {
      await this.#turns.run(directory, () => this.#unmountFrom(directory));
    }
    for (const [directory, { mount }] of [...this.#mounts]) {
      const unmounting = this.#turns.run(directory, () => this.#unmountFrom(directory));
      await unmounting.catch(() => stuck.push(mount));
    }
    await this.#changed();
    this.#detached.close();
    this.#tidying[Symbol.dispose]();
    await this.#scrub[Symbol.asyncDispose]();
    for (const { mount } of this.#detached.all) if (mount.isInUse()) stuck.push(mount);
    for (const { kind, blobs, calmed } of stuck) {
      calmed?.end();
      if (kind === 'kernel') for (const blob of blobs) await wholly(blob);
    }
    await this.#maker.close();
    return stuck.map(({ directory }) => directory);
  }

  /** Ends, and leaves all that is mounted to another service: who reads waits for it. */
  async yield(): Promise<void> {
    await this.#maker.close();
  }

  async #takeOver({ mounts, descriptors }: Legacy): Promise<void> {
    const filler = mounts.some(({ kind }) => kind === 'kernel') ? this.#maker.resume() : undefined;
    for (const record of mounts) {
      const left = leftOf(record, descriptors, filler);
      if (left === undefined) continue;
      await this.#stranded.adopt(record, {
        adopt: (known) => this.#adopt(known, left),
        [Symbol.dispose]: () => {
          if (left.kind === 'fuse') left.descriptors[Symbol.dispose]();
        },
      });
    }
    await this.#letGoInherited();
    filler?.start();
    this.#aside(this.#changed());
  }

  /**
   * Goes on with a mount.
   *
   * @param known gives its record: somebody may unmount it meanwhile
   * @throws HostError and what opening the image raises; then all is as before
   */
  async #adopt(known: () => MountRecord, left: Left): Promise<void> {
    const opened = await this.open(known().image);
    const going = this.#maker.goOn(opened, known(), left, this.#pool.inherited);
    const mount = await going.catch(async (error: unknown) => {
      await opened.close();
      throw error;
    });
    const record = known();
    if (record.isDetached) await this.#detached.add({ record, mount });
    else this.#mounts.set(record.directory, { record, mount });
  }

  async #changedStranded(): Promise<void> {
    await this.#letGoInherited();
    await this.#changed();
  }

  /** Where no mount is left that waits to be taken over, nobody comes for files that were inherited. */
  async #letGoInherited(): Promise<void> {
    if (this.#stranded.records.length === 0) await this.#pool.letGo();
  }

  /** Lets go on what nobody waits for: that it fails must not end the process. */
  #aside(work: Promise<void>): void {
    work.catch((error: unknown) => this.#options.onFault?.(error));
  }

  async #changed(): Promise<void> {
    await this.#options.onMounts?.(this.mounts);
  }
}

/** Brings all of a blob to the disk. @throws HostError `HOST_NO_SPACE`; what fetching raises */
async function wholly(blob: CachedBlob): Promise<void> {
  await blob.ensure(0, blob.size);
  if (blob.holds(0, blob.size)) return;
  throw new HostError('HOST_NO_SPACE', `Cannot keep ${blob.id} whole: the disk does not take it`);
}
