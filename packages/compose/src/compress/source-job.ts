import type { Crew, FileList, Listing } from '@anole/host';

/** What the threads that see to the source of an image are given to do. */
export type SourceJob = CopyJob | ListJob;

/** Directories to list. */
export interface ListJob {
  readonly kind: 'list';
  readonly directories: FileList;
}

/** For each directory what it lists; undefined where that could not be told. */
export type Listings = readonly (Listing | undefined)[];

/** A part of an image, which lies at `offset`, and files to copy into it and to elsewhere. */
export interface CopyJob {
  readonly kind: 'copy';
  /** Of the image; open until the job is done. */
  readonly fd: number;
  readonly blockSize: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly files: FileList;
  /** For each file `from`, `length`, `to`, `tail` and `tailTo` of a `FileCopy`. */
  readonly numbers: Float64Array<ArrayBuffer>;
}

/** Columns of `numbers`. */
export const COPY_COLUMNS = 5;

/** Threads that do these jobs. */
export type SourceCrew = Crew<SourceJob, Listings>;
