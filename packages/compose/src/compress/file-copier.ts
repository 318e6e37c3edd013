import { writeAt } from '@anole/host/in-thread';
import type { SourceFiles } from './source-files.ts';
import { COPY_COLUMNS, type CopyJob } from './source-job.ts';

/** Blocks of small files are written together. */
const GATHERED = 1024 * 1024;
/** What is read of a large file at once stays in the processor's cache until it is written. */
const PART = 256 * 1024;

interface Range {
  readonly from: number;
  readonly length: number;
  readonly to: number;
}

/** In a thread: copies files into an image. */
export class FileCopier {
  readonly #source: SourceFiles;
  readonly #gathered = new Uint8Array(GATHERED);
  #used = 0;
  /** Byte of the image at which what is gathered goes. */
  #start = 0;
  // Of the job at hand:
  #fd = -1;
  #blockSize = 0;

  constructor(source: SourceFiles) {
    this.#source = source;
  }

  copy(job: CopyJob): void {
    this.#fd = job.fd;
    this.#blockSize = job.blockSize;
    this.#used = 0;
    this.#source.take(job.files);
    try {
      this.#copyAll(job);
    } finally {
      this.#source.release();
    }
  }

  #copyAll({ offset, bytes, numbers }: CopyJob): void {
    for (let file = 0, at = 0; at < numbers.length; file++, at += COPY_COLUMNS) {
      const range = { from: numbers[at]!, length: numbers[at + 1]!, to: numbers[at + 2]! };
      const tail = numbers[at + 3]!;
      if (range.length + tail > GATHERED) this.#copyLarge(file, range);
      else {
        const end = this.#gather(file, range, tail);
        const tailTo = numbers[at + 4]! - offset;
        if (tail > 0) bytes.set(this.#gathered.subarray(end, end + tail), tailTo);
      }
    }
    this.#flush();
    this.#write(bytes, offset);
  }

  /** Reads a range, and the tail behind it, to where it is written from later. Returns where that ends. */
  #gather(file: number, { from, length, to }: Range, tail: number): number {
    const padding = to - (this.#start + this.#used);
    const follows = length === 0 || (padding >= 0 && padding < this.#blockSize);
    if (!follows || this.#used + Math.max(padding, 0) + length + tail > GATHERED) this.#flush();
    if (length > 0) {
      if (this.#used === 0) this.#start = to;
      this.#gathered.fill(0, this.#used, to - this.#start);
      this.#used = to - this.#start;
    }
    const end = this.#used + length;
    this.#source.read(file, from, this.#gathered.subarray(this.#used, end + tail));
    this.#used = end;
    return end;
  }

  #copyLarge(file: number, { from, length, to }: Range): void {
    this.#flush();
    for (let done = 0; done < length; done += PART) {
      const part = this.#gathered.subarray(0, Math.min(PART, length - done));
      this.#source.read(file, from + done, part);
      this.#write(part, to + done);
    }
  }

  #flush(): void {
    this.#write(this.#gathered.subarray(0, this.#used), this.#start);
    this.#used = 0;
  }

  #write(bytes: Uint8Array, at: number): void {
    writeAt(this.#fd, at, bytes);
  }
}
