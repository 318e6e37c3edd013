/** What a snapshot is: somebody's to write, to look at, or for others to stand on. */
export type SnapshotKind = 'view' | 'active' | 'committed';

/** Bytes of a disk, and inodes, that a snapshot adds to its parent. */
export interface Usage {
  readonly size: number;
  readonly inodes: number;
}

/**
 * A layer of an image that is there in a form that loads on demand. Such a form is of the whole image:
 * the snapshot of its last layer shows all of it, those below have nothing until somebody stands on them.
 */
export interface OnDemandLayer {
  /** The image with the layer, by digest: `HOST/NAME@sha256:…`. */
  readonly original: string;
  /** The same image in the form that loads on demand, by digest. */
  readonly variant: string;
  /** Layers of the original up to this one, itself included. */
  readonly depth: number;
  /** Whether it is the last one. */
  readonly isLast: boolean;
}

/** A snapshot as it is noted on the disk. */
export interface Snapshot {
  /** Name of its directory: a number, never used again. */
  readonly id: string;
  readonly kind: SnapshotKind;
  /** By which containerd calls it: a key, or the name under which it was committed. */
  readonly name: string;
  /** Id of the snapshot on which it stands. */
  readonly parent?: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly updated: number;
  /** Of a committed snapshot. */
  readonly usage?: Usage;
  readonly onDemand?: OnDemandLayer;
  /** Whether `fs` has the files of all layers below, too. */
  readonly isFlat?: boolean;
}
