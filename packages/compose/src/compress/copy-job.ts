import type { FileList } from '@anole/host';

/** What a thread that copies files into an image is started with. */
export interface CopyTask {
  /** Of the image; open as long as the thread runs. */
  readonly fd: number;
  readonly blockSize: number;
}

/** A part of the image, which lies at `offset`, and files to copy into it and to elsewhere. */
export interface CopyJob {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly files: FileList;
  /** For each file `from`, `length`, `to`, `tail` and `tailTo` of a `FileCopy`. */
  readonly numbers: Float64Array<ArrayBuffer>;
}

/** Columns of `numbers`. */
export const COPY_COLUMNS = 5;
