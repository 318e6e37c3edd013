import { writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { serveCrew } from '@anole/host';
import { COPY_COLUMNS, type CopyJob, type CopyTask } from './copy-job.ts';
import { SourceFiles } from './source-files.ts';

/** Blocks of small files are written together. */
const GATHERED = 1024 * 1024;

const { fd, blockSize } = workerData as CopyTask;
const source = new SourceFiles();

const gathered = new Uint8Array(GATHERED);
let used = 0;
/** Byte of the image at which what is gathered goes. */
let start = 0;

serveCrew(({ offset, bytes, files, numbers }: CopyJob): undefined => {
  source.take(files);
  for (let file = 0; file * COPY_COLUMNS < numbers.length; file++) {
    const [from, length, to, tail, tailTo] = numbers.subarray(file * COPY_COLUMNS);
    const range = { from: from!, length: length!, to: to! };
    if (range.length + tail! > GATHERED) copyLarge(file, range);
    else {
      const end = gather(file, range, tail!);
      if (tail! > 0) bytes.set(gathered.subarray(end, end + tail!), tailTo! - offset);
    }
  }
  flush();
  writeAll(bytes, offset);
});

interface Range {
  readonly from: number;
  readonly length: number;
  readonly to: number;
}

/** Reads a range, and the tail behind it, to where it is written from later. Returns where that ends. */
function gather(file: number, { from, length, to }: Range, tail: number): number {
  const padding = to - (start + used);
  const follows = length === 0 || (padding >= 0 && padding < blockSize);
  if (!follows || used + Math.max(padding, 0) + length + tail > GATHERED) flush();
  if (length > 0) {
    if (used === 0) start = to;
    gathered.fill(0, used, to - start);
    used = to - start;
  }
  const end = used + length;
  source.read(file, from, gathered.subarray(used, end + tail));
  used = end;
  return end;
}

function copyLarge(file: number, { from, length, to }: Range): void {
  flush();
  for (let done = 0; done < length; done += GATHERED) {
    const part = gathered.subarray(0, Math.min(GATHERED, length - done));
    source.read(file, from + done, part);
    writeAll(part, to + done);
  }
}

function flush(): void {
  writeAll(gathered.subarray(0, used), start);
  used = 0;
}

function writeAll(bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, at + done);
  }
}
