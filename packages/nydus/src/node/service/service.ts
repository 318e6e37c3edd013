import { mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallOptions } from '@anole/bytes';
import { HostError } from '@anole/host';
import { PreContentGroup, unmount } from '@anole/host/native';
import type { CachedBlob } from '../cache/blob.ts';
import { BlobCache, type Evicted } from '../cache/cache.ts';
import { Scrub } from '../cache/scrub.ts';
import type { BlobEvents } from '../cache/surroundings.ts';
import { BlobPool } from '../on-demand/blob-pool.ts';
import type { ImageBlobs, OnDemandImage, OnDemandReference } from '../on-demand/image.ts';
import type { Passing } from '../passing/passed-files.ts';
import { SpareTime } from '../passing/spare-time.ts';
import { WholeFiles } from '../passing/whole-files.ts';
import type { ReadAheadOfKernel } from './calmed-reads.ts';
import { Filler, type FillerEvents } from './filler.ts';
import { descriptorNames, mountThroughFuse } from './fuse-mount.ts';
import { OpenImages } from './images.ts';
import { filesAmong, mountByKernel } from './kernel-mount.ts';
import { type Left, leftOf } from './left-descriptors.ts';
import type { DescriptorKeeper, ImageMount, MountKind } from './mount.ts';
import {
  type CacheUsage,
  figuresOf,
  type MountReport,
  reportOf,
  type ServiceStatus,
} from './status.ts';
import { StrandedMounts } from './stranded.ts';
import { Tidying } from './tidying.ts';

/** A mount as the next service, and users, are told of it. */
export interface MountRecord {
  readonly directory: string;
  readonly kind: MountKind;
  readonly image: OnDemandReference;
  /** Of a FUSE mount. */
  readonly agreed?: number;
  /** How far the kernel reads ahead of who reads it, where it was kept from that. */
  readonly readAhead?: ReadAheadOfKernel;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** Whether it is on its directory no more, but below an overlay, or in another name space. */
  readonly isDetached?: boolean;
}

interface Entry {
  readonly record: MountRecord;
  readonly mount: ImageMount;
}

/** How often is looked whether those who have detached mounts are gone, in milliseconds. */
const SWEEP = 1000;

/** What a service that is gone has left: its mounts, and descriptors by the names it gave them. */
export interface Legacy {
  readonly mounts: readonly MountRecord[];
  readonly descriptors: ReadonlyMap<string, number>;
}

export interface ServiceOptions extends FillerEvents, BlobEvents {
  readonly cache: string;
  readonly quota?: number;
  /** Whether the kernel may read decoded files of new mounts through FUSE by itself. Default false. */
  readonly passthrough?: boolean;
  /** Gives what an image is made of. Nobody is to be asked before the first byte is needed. */
  blobs(image: OnDemandReference): ImageBlobs;
  readonly keeper: DescriptorKeeper;
  /**
   * Descriptor of a group of pre-content events that somebody else keeps too. Without it nothing is
   * mounted by the kernel: holes would be read as zeros when this process ends.
   */
  readonly group?: number;
  /** Told whenever mounts come or go, which is not over before it resolves. */
  onMounts?(mounts: readonly MountRecord[]): Promise<void>;
  /** A mount of the former service cannot be taken over yet. It is tried again. */
  onStranded?(mount: MountRecord, error: unknown): void;
}

/** Mounts images whose data come when they are read, and keeps what has come. */
export class ImageService {
  readonly cache: BlobCache;
  readonly #options: ServiceOptions;
  readonly #pool: BlobPool;
  readonly #images: OpenImages;
  readonly #passing: Passing;
  readonly #mounts = new Map<string, Entry>();
  readonly #detached = new Set<Entry>();
  readonly #stranded = new StrandedMounts({
    onFailure: (mount, error) => this.#options.onStranded?.(mount, error),
    onChange: () => void this.#changedStranded(),
  });
  readonly #tidying = new Tidying();
  readonly #scrub: Scrub;
  #sweeper: NodeJS.Timeout | undefined;
  #filler: Filler | undefined;

  private constructor(options: ServiceOptions, legacy?: Legacy) {
    const { cache, quota, onDamaged, onUnhealed } = options;
    this.#options = options;
    this.cache = new BlobCache(cache, {
      ...(quota !== undefined && { quota }),
      ...(onDamaged && { onDamaged }),
      ...(onUnhealed && { onUnhealed }),
    });
    this.#scrub = new Scrub(() => this.cache.opened);
    const files = legacy && filesAmong(legacy.descriptors);
    this.#pool = new BlobPool(this.cache, files);
    this.#images = new OpenImages(this.#pool);
    this.#passing = { files: new WholeFiles(join(cache, 'whole')), spare: new SpareTime() };
  }

  /** Begins, going on where another ended. @throws HostError */
  static async start(options: ServiceOptions, legacy?: Legacy): Promise<ImageService> {
    const service = new ImageService(options, legacy);
    await mkdir(options.cache, { recursive: true });
    if (legacy) await service.#takeOver(legacy);
    return service;
  }

  /** What is mounted, and what is not any more but in use. */
  get mounts(): readonly MountRecord[] {
    const served = [...this.#mounts.values(), ...this.#detached].map(({ record, mount }) => ({
      ...record,
      ...(mount.agreed !== undefined && { agreed: mount.agreed }),
      ...(mount.calmed?.readAhead && { readAhead: mount.calmed.readAhead }),
    }));
    return [...served, ...this.#stranded.records];
  }

  status(): ServiceStatus {
    const mounts = [...this.#mounts.values()].map(({ record, mount }) => ({
      ...reportOf(record, mount),
      ...figuresOf(mount.blobs),
    }));
    const stranded = this.#stranded.records.filter(({ isDetached }) => !isDetached);
    return { mounts: [...mounts, ...stranded.map((each) => ({ ...each, ...figuresOf([]) }))] };
  }

  /**
   * Mounts an image on a directory. Without a `kind`, by the kernel where it can.
   *
   * @throws HostError `HOST_EXISTS` where this service has something mounted there, and as the mounts
   */
  async mount(
    image: OnDemandReference,
    at: string,
    kind: MountKind | undefined,
    { signal }: CallOptions = {},
  ): Promise<MountReport> {
    const directory = await realpath(at).catch((cause: unknown) => {
      throw new HostError('HOST_NOT_FOUND', `Cannot mount on ${at}: it is not there`, { cause });
    });
    if (this.#mounts.has(directory)) {
      throw new HostError(
        'HOST_EXISTS',
        `Cannot mount on ${directory}: an image is mounted there`,
        {
          hint: `anole image umount ${directory}`,
        },
      );
    }
    const chosen = kind ?? (this.#options.group === undefined ? 'fuse' : 'kernel');
    const record: MountRecord = { directory, kind: chosen, image, since: Date.now() };
    const opened = await this.open(image, signal ? { signal } : {});
    try {
      const { keeper } = this.#options;
      const mount =
        chosen === 'fuse'
          ? await mountThroughFuse(
              opened,
              directory,
              descriptorNames(record),
              keeper,
              this.#options.passthrough ? this.#passing : undefined,
            )
          : await mountByKernel(opened, directory, this.#fillerHere(), keeper);
      this.#mounts.set(directory, { record, mount });
      await this.#changed();
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
    // Asking the directory itself could mean to wait for what cannot be fetched.
    const entry = this.#mounts.get(at);
    if (entry === undefined && this.#unmountStranded(at)) return await this.#changedStranded();
    if (entry === undefined) {
      throw new HostError('HOST_NOT_FOUND', `Cannot unmount ${at}: no image is mounted there`);
    }
    await entry.mount.unmount();
    this.#mounts.delete(at);
    await this.#letGo(entry);
    await this.#changed();
  }

  #unmountStranded(at: string): boolean {
    const { records } = this.#stranded;
    const record = records.find(({ directory, isDetached }) => directory === at && !isDetached);
    if (record === undefined) return false;
    unmount(at, { lazy: record.kind === 'fuse' });
    this.#stranded.unmounted(record);
    if (record.kind === 'fuse') {
      for (const name of Object.values(descriptorNames(record))) this.#options.keeper.release(name);
    }
    return true;
  }

  /** What is in the cache. @throws HostError; the disk */
  async usage(): Promise<CacheUsage> {
    const [blobs, whole] = await Promise.all([this.cache.list(), this.#passing.files.bytes()]);
    return { blobs, whole };
  }

  /**
   * Removes whole files, which can be made again, and then blobs that nobody uses, until all take `quota` bytes at most.
   *
   * @throws HostError; the disk
   */
  async evict(quota: number): Promise<Evicted & { readonly whole: number }> {
    const { files } = this.#passing;
    const { blobs, whole } = await this.usage();
    const ofBlobs = blobs.reduce((sum, { bytes }) => sum + bytes, 0);
    const freed = await files.evict(Math.max(0, quota - ofBlobs));
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
    // Nobody could tell whether an overlay still has it, whose holes would be read as zeros.
    const unknown = this.#stranded.records.find(({ kind }) => kind === 'kernel');
    if (unknown) throw cannotEnd(unknown.directory);
    this.#stranded.close();
    for (const { directory } of this.#stranded.records) await this.unmount(directory);
    for (const [directory, { mount }] of [...this.#mounts]) {
      await this.unmount(directory).catch(() => stuck.push(mount));
    }
    clearInterval(this.#sweeper);
    this.#tidying[Symbol.dispose]();
    await this.#scrub[Symbol.asyncDispose]();
    for (const { mount } of this.#detached) if (mount.isInUse()) stuck.push(mount);
    for (const { kind, blobs, calmed } of stuck) {
      calmed?.end();
      if (kind === 'kernel') for (const blob of blobs) await wholly(blob);
    }
    await this.#filler?.close();
    return stuck.map(({ directory }) => directory);
  }

  /** Ends, and leaves all that is mounted to another service: who reads waits for it. */
  async yield(): Promise<void> {
    await this.#filler?.close();
  }

  /** Gives up what was unmounted, when nobody has it any more. */
  async #letGo(entry: Entry): Promise<void> {
    if (!entry.mount.isInUse()) return await entry.mount.release();
    this.#detached.add({ ...entry, record: { ...entry.record, isDetached: true } });
    this.#sweeper ??= setInterval(() => void this.#sweep(), SWEEP).unref();
  }

  async #sweep(): Promise<void> {
    for (const entry of this.#detached) {
      if (entry.mount.isInUse()) continue;
      this.#detached.delete(entry);
      await entry.mount.release();
      await this.#changed();
    }
    if (this.#detached.size > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  async #takeOver({ mounts, descriptors }: Legacy): Promise<void> {
    const filler = mounts.some(({ kind }) => kind === 'kernel') ? this.#makeFiller() : undefined;
    // Who waited for the service before this one cannot be told apart from those to come.
    filler?.group.dismiss();
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
    this.#filler = filler;
    void this.#changed();
  }

  /**
   * Goes on with a mount.
   *
   * @param known gives its record: somebody may unmount it meanwhile
   * @throws HostError and what opening the image raises; then all is as before
   */
  async #adopt(known: () => MountRecord, left: Left): Promise<void> {
    const opened = await this.open(known().image);
    const mount = await this.#goOn(opened, known(), left).catch(async (error: unknown) => {
      await opened.close();
      throw error;
    });
    const record = known();
    if (record.isDetached) await this.#letGo({ record, mount });
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

  async #goOn(opened: OnDemandImage, record: MountRecord, left: Left): Promise<ImageMount> {
    const { directory, agreed = 0, readAhead } = record;
    const { keeper } = this.#options;
    if (left.kind === 'kernel') {
      const files = this.#pool.inherited;
      return await mountByKernel(opened, directory, left.filler, keeper, { readAhead, files });
    }
    const { descriptors } = left;
    const names = descriptorNames(record);
    const since = { descriptors, agreed, readAhead };
    return await mountThroughFuse(opened, directory, names, keeper, this.#passing, since);
  }

  #fillerHere(): Filler {
    if (this.#filler === undefined) {
      this.#filler = this.#makeFiller();
      this.#filler.start();
    }
    return this.#filler;
  }

  #makeFiller(): Filler {
    const { cache, group } = this.#options;
    if (group === undefined) {
      throw new HostError(
        'HOST_IO',
        'Cannot mount images by the kernel: it does not tell of reads',
        {
          hint: 'It needs Linux 6.14, root and koffi. Mount with --kind fuse.',
        },
      );
    }
    const bell = join(cache, `bell-${process.pid}`);
    return new Filler(new PreContentGroup(bell, group), this.#options);
  }

  async #changed(): Promise<void> {
    await this.#options.onMounts?.(this.mounts);
  }
}

function cannotEnd(directory: string): HostError {
  return new HostError('HOST_IO', `Cannot end: the image of ${directory} cannot be opened now`, {
    hint: 'What is mounted needs this service until the place of the image answers again.',
  });
}

/** Brings all of a blob to the disk. @throws HostError `HOST_NO_SPACE`; what fetching raises */
async function wholly(blob: CachedBlob): Promise<void> {
  await blob.ensure(0, blob.size);
  if (blob.holds(0, blob.size)) return;
  throw new HostError('HOST_NO_SPACE', `Cannot keep ${blob.id} whole: the disk does not take it`);
}
