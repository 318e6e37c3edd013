import type { OnDemandReference } from '../on-demand/image.ts';
import type { ReadAheadOfKernel } from './calmed-reads.ts';
import type { MountKind, MountRights } from './mount.ts';

/** A mount as the next service, and users, are told of it. */
export interface MountRecord extends MountRights {
  readonly directory: string;
  readonly kind: MountKind;
  readonly image: OnDemandReference;
  /** `MAJOR:MINOR` of what was mounted: by it, others' mounts on the directory are told apart. */
  readonly device?: string;
  /** Of a FUSE mount. */
  readonly agreed?: number;
  /** How far the kernel reads ahead of who reads it, where it was kept from that. */
  readonly readAhead?: ReadAheadOfKernel;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** Whether it is on its directory no more, but below an overlay, or in another name space. */
  readonly isDetached?: boolean;
}

/** What a service that is gone has left: its mounts, and descriptors by the names it gave them. */
export interface Legacy {
  readonly mounts: readonly MountRecord[];
  readonly descriptors: ReadonlyMap<string, number>;
}
