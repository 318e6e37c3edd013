import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import type { FileCopy, ImagePart } from '@anole/erofs';
import { Crew } from '@anole/host';
import { COPY_COLUMNS, type CopyJob, type CopyTask } from './copy-job.ts';

/** More would wait for the disk. */
const MOST_THREADS = 4;
/** Bytes that make a job. */
const JOB_BYTES = 2 * 1024 * 1024;

/**
 * Threads that put what files of a directory hold into an image, which they write to on their own. A
 * part with what files lack is theirs, too.
 */
export class CopyThreads implements AsyncDisposable {
  readonly #task: CopyTask;
  #crew: Crew<CopyJob, undefined> | undefined;
  #copies: FileCopy[] = [];
  #bytes = 0;

  constructor(task: CopyTask) {
    this.#task = task;
  }

  /** Takes a part of an image whose copies are its to make. Gives what to wait for before the next. */
  put({ offset, bytes, copies = [] }: ImagePart): Promise<void> | undefined {
    for (const copy of copies) this.#bytes += copy.length + copy.tail;
    this.#copies.push(...copies);
    // What lies beside inodes goes with them.
    if (bytes.length === 0 && this.#bytes < JOB_BYTES) return undefined;
    return this.#send(offset, bytes.slice());
  }

  async finish(): Promise<void> {
    if (this.#copies.length > 0) await this.#send(0, new Uint8Array(0));
    await this.#crew?.finish();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#crew?.stop();
  }

  #send(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> | undefined {
    this.#crew ??= this.#start();
    const job = { offset, bytes, ...columnsOf(this.#copies) };
    this.#copies = [];
    this.#bytes = 0;
    return this.#crew.put(job, [bytes.buffer, job.numbers.buffer]);
  }

  #start(): Crew<CopyJob, undefined> {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const url = new URL(`./copy-worker.${extension}`, import.meta.url);
    return new Crew(url, this.#task, Math.min(MOST_THREADS, availableParallelism()), () => {});
  }
}

/** Many small objects would take longer to hand over than the copying takes. */
function columnsOf(copies: readonly FileCopy[]) {
  const numbers = new Float64Array(copies.length * COPY_COLUMNS);
  const directories: string[] = [];
  const names: string[] = [];
  copies.forEach(({ node, path, from, length, to, tail, tailTo }, index) => {
    const directory = dirname(path);
    directories.push(directory);
    names.push(path.slice(directory === '/' ? 1 : directory.length + 1));
    numbers.set([node.stat.ino, from, length, to, tail, tailTo], index * COPY_COLUMNS);
  });
  return { directories, names, numbers };
}
