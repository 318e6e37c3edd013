import type { CachedBlob } from '../cache/blob.ts';

/** How an image is mounted: by the kernel's own EROFS, or through FUSE. */
export type MountKind = 'kernel' | 'fuse';

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
  readonly blob: CachedBlob;
  /** What the next service needs to go on with a FUSE mount. */
  readonly agreed?: number;
  /**
   * Unmounts, and gives up what it holds.
   *
   * @throws HostError `HOST_IO` where the directory is in use
   */
  close(): Promise<void>;
}
