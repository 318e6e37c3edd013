/** What a thread that copies files into an image is started with. */
export interface CopyTask {
  readonly directory: string;
  /** Of the image; open as long as the thread runs. */
  readonly fd: number;
  readonly blockSize: number;
}

/** A part of the image, which lies at `offset`, and files to copy into it and to elsewhere. */
export interface CopyJob {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly directories: readonly string[];
  readonly names: readonly string[];
  /** For each file `ino`, `from`, `length`, `to`, `tail` and `tailTo` of a `FileCopy`. */
  readonly numbers: Float64Array;
}

/** Columns of `numbers`. */
export const COPY_COLUMNS = 6;
