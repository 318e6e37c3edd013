import type { CachedBlob } from '../cache/blob.ts';
import type { BlobUsage } from '../cache/cache.ts';
import type { ImageMount, Passthrough } from './mount.ts';
import type { MountRecord } from './mount-record.ts';

/** A mount that is served, as users are told of it. */
export interface MountReport extends MountRecord {
  /** Of a FUSE mount. */
  readonly passthrough?: Passthrough;
}

/** Figures of a service, for its users. */
export interface ServiceStatus {
  readonly mounts: readonly (MountReport & {
    /** Bytes that the image has (0: it cannot be opened yet), and that are here. */
    readonly size: number;
    readonly present: number;
    /** Files and directories of the cache that have them. Images may share them. */
    readonly inodes: number;
    /** Chunks that are being fetched. */
    readonly coming: number;
    /** Bytes that this service fetched. */
    readonly fetched: number;
    readonly fetches: number;
    readonly damaged: number;
    readonly unstored: number;
    /** Errors that readers got from this service. */
    readonly failures: number;
  })[];
}

/** What a service has on the disk. */
export interface CacheUsage {
  readonly blobs: readonly BlobUsage[];
  /** Bytes of whole, decoded files, which the kernel reads in the place of a mount's. */
  readonly whole: number;
}

export function reportOf(record: MountRecord, { passthrough }: ImageMount): MountReport {
  return { ...record, ...(passthrough && { passthrough }) };
}

type Figures = Omit<ServiceStatus['mounts'][number], keyof MountReport>;

/** Sums of a mount's blobs. */
export function figuresOf(blobs: readonly CachedBlob[], failures: number): Figures {
  const sum = {
    ...{ size: 0, present: 0, inodes: 0, coming: 0 },
    ...{ fetched: 0, fetches: 0, damaged: 0, unstored: 0, failures },
  };
  for (const { size, present, inodes, coming, counters } of blobs) {
    sum.size += size;
    sum.present += present;
    sum.inodes += inodes;
    sum.coming += coming;
    sum.fetched += counters.fetched;
    sum.fetches += counters.fetches;
    sum.damaged += counters.damaged;
    sum.unstored += counters.unstored;
  }
  return sum;
}
