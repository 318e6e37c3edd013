import { availableParallelism } from 'node:os';
import type { ErofsNode } from '@anole/erofs';
import { Crew, type Elsewhere } from '@anole/host';
import type { WalkEntry } from '@anole/vfs';
import type { UnpackJob, UnpackWork } from './unpack-worker.ts';

/** More would wait for the disk, and each opens the image anew. */
const MOST_THREADS = 4;
/** Files and bytes that are enough for a job, and files that end one within a directory. */
const JOB_FILES = 64;
const JOB_BYTES = 4 * 1024 * 1024;
const MOST_FILES = 1024;

/**
 * Threads that write files of an image of this computer while it is unpacked. Files of a directory go to one thread
 * where they are not too many: the kernel lets one at a time make names in a directory.
 */
export class UnpackThreads implements Elsewhere, AsyncDisposable {
  bytes = 0;
  private readonly image: string;
  private crew: Crew<UnpackJob, number> | undefined;
  // The job at hand. Many small objects would take longer to hand over than they take to make.
  private directories: string[] = [];
  private names: string[] = [];
  private numbers: number[] = [];
  private jobBytes = 0;

  constructor(image: string) {
    this.image = image;
  }

  begin(base: string, owners: boolean): void {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const url = new URL(`./unpack-worker.${extension}`, import.meta.url);
    const work: UnpackWork = { image: this.image, base, owners };
    const size = Math.min(MOST_THREADS, availableParallelism());
    this.crew = new Crew(url, work, size);
  }

  put({ path, node }: WalkEntry): Promise<void> | undefined {
    const slash = path.lastIndexOf('/');
    const directory = path.slice(0, Math.max(slash, 0));
    const isNew = directory !== this.directories.at(-1);
    const { length } = this.names;
    const isFull = isNew ? length >= JOB_FILES : length >= MOST_FILES;
    const sent = isFull || this.jobBytes >= JOB_BYTES ? this.send() : undefined;
    if (isNew || this.directories.length === 0) this.directories.push(directory);
    this.names.push(path.slice(slash + 1));
    this.numbers.push(this.directories.length - 1, (node as ErofsNode).nid);
    this.jobBytes += node.stat.size;
    return sent;
  }

  async finish(): Promise<void> {
    if (this.names.length > 0) await this.send();
    await this.crew!.finish();
  }

  async stop(): Promise<void> {
    await this.crew?.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  private send(): Promise<void> | undefined {
    const directories = this.directories.join('\0');
    const names = this.names.join('/');
    const job: UnpackJob = { directories, names, numbers: Float64Array.from(this.numbers) };
    this.directories = [];
    this.names = [];
    this.numbers = [];
    this.jobBytes = 0;
    const written = this.crew!.ask(job, [job.numbers.buffer]);
    written.then(
      (bytes) => {
        this.bytes += bytes;
      },
      () => {},
    );
    return this.crew!.room();
  }
}
