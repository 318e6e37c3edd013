import { availableParallelism } from 'node:os';
import type { ErofsNode } from '@anole/erofs';
import { Crew, type Elsewhere } from '@anole/host';
import type { WalkEntry } from '@anole/vfs';
import type { UnpackJob, UnpackWork } from './unpack-worker.ts';

/** More would wait for the disk, and each opens the image anew. */
const MOST_THREADS = 4;
/** Files and bytes that go to a thread at once. */
const JOB_FILES = 64;
const JOB_BYTES = 4 * 1024 * 1024;

/** Threads that write files of an image of this computer while it is unpacked. */
export class UnpackThreads implements Elsewhere, AsyncDisposable {
  bytes = 0;
  private readonly image: string;
  private crew: Crew<UnpackJob, number> | undefined;
  private job: (readonly [string, number])[] = [];
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
    this.job.push([path, (node as ErofsNode).nid]);
    this.jobBytes += node.stat.size;
    if (this.job.length < JOB_FILES && this.jobBytes < JOB_BYTES) return undefined;
    return this.send();
  }

  async finish(): Promise<void> {
    if (this.job.length > 0) await this.send();
    await this.crew!.finish();
  }

  async stop(): Promise<void> {
    await this.crew?.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  private send(): Promise<void> | undefined {
    const { job } = this;
    this.job = [];
    this.jobBytes = 0;
    const written = this.crew!.ask(job);
    written.then(
      (bytes) => {
        this.bytes += bytes;
      },
      () => {},
    );
    return this.crew!.room();
  }
}
