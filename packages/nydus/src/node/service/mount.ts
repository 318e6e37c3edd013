import type { CachedBlob } from '../cache/blob.ts';
import type { CalmedReads } from './calmed-reads.ts';

/** How an image is mounted: by the kernel's own EROFS, or through FUSE. */
export type MountKind = 'kernel' | 'fuse';

/** What a mount lets its files do. An image is somebody else's work: without being asked for, neither. */
export interface MountRights {
  /** Whether its files may give who runs them the rights of their owner (mount(8), `suid`). */
  readonly suid?: boolean;
  /** Whether its devices may be opened (mount(8), `dev`). */
  readonly dev?: boolean;
}

/** How an image is to be mounted. */
export interface MountWish extends MountRights {
  /** Default: by the kernel where it can. */
  readonly kind?: MountKind;
}

/** Whether the kernel reads files of a mount through FUSE by itself, once they are whole and decoded. */
export interface Passthrough {
  readonly isOn: boolean;
  /** Where it does not. */
  readonly why?: string;
  /** Times that files were opened so, by what this service knows. */
  readonly opens: number;
  /** Times that this service could not make or prove a file for it: these are tried again. */
  readonly failures: number;
  /** Why, the last time. */
  readonly failure?: string;
}

/** Keeps descriptors for the service that comes after this one. */
export interface DescriptorKeeper {
  /** Returns when a copy is in safe hands. */
  keep(name: string, fd: number): Promise<void>;
  release(name: string): void;
}

/** A mounted image. */
export interface ImageMount {
  readonly kind: MountKind;
  /** Absolute. */
  readonly directory: string;
  /** What the kernel mounted, or would, and its devices. */
  readonly blobs: readonly CachedBlob[];
  /** Of a FUSE mount. */
  readonly passthrough?: Passthrough;
  /** What the next service needs to go on with a FUSE mount. */
  readonly agreed?: number;
  /** Errors that its readers got. */
  readonly failures: number;
  /** Where the kernel is kept from reading ahead, or was. */
  readonly calmed?: CalmedReads | undefined;
  /**
   * Takes it off its directory. Who stands on it all the same goes on: an overlay, another name space.
   *
   * @throws HostError `HOST_IO` where the directory is in use
   */
  unmount(): Promise<void>;
  /** Whether somebody still has what was mounted. */
  isInUse(): boolean;
  /** Gives up what it holds. Nobody must have it any more: their reads would find nothing, or zeros. */
  release(): Promise<void>;
}
