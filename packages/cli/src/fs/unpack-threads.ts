import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { Pacer } from '@anole/bytes';
import type { ErofsNode, ErofsTree } from '@anole/erofs';
import { Crew, type Elsewhere, type LeftFile, type Making } from '@anole/host';
import type { TreeNode } from '@anole/vfs';
import { type UnpackDone, UnpackFiles, type UnpackJob, type UnpackWork } from './unpack-files.ts';
import type { UnpackTask } from './unpack-worker.ts';

/** More would wait for the disk, and each opens the image anew. This one is among them. */
const MOST_THREADS = 4;
/** Bytes of directories that are enough for a job: the names of some hundreds of files. */
const JOB_SIZE = 8 * 1024;

/**
 * Makes files of an image of this computer while it is unpacked, in threads and, where those have enough to do, in this
 * one. Files of a directory go to one where they are not too many: the kernel lets one at a time make names in a
 * directory.
 */
export class UnpackThreads implements Elsewhere, AsyncDisposable {
  entries = 0;
  private readonly image: string;
  private readonly tree: ErofsTree;
  private readonly signal: AbortSignal | undefined;
  private readonly pacer = new Pacer();
  private readonly written = new BigInt64Array(new SharedArrayBuffer(8));
  private crew: Crew<UnpackJob, UnpackDone> | undefined;
  private here: UnpackFiles | undefined;
  /** Files that were left, of each job by its number. */
  private readonly left: (readonly LeftFile[])[] = [];
  private jobs = 0;
  // The job at hand. Many small objects would take longer to hand over than they take to make.
  private directories: string[] = [];
  private numbers: number[] = [];
  private size = 0;

  /**
   * @param tree of the file, as this thread reads it
   * @param signal ends what this thread makes itself; others end by `stop`
   */
  constructor(image: string, tree: ErofsTree, signal?: AbortSignal) {
    this.image = image;
    this.tree = tree;
    this.signal = signal;
  }

  get bytes(): number {
    return Number(Atomics.load(this.written, 0));
  }

  begin(making: Making): void {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const url = new URL(`./unpack-worker.${extension}`, import.meta.url);
    const work: UnpackWork = { ...making, written: this.written };
    const task: UnpackTask = { ...work, image: this.image };
    this.here = new UnpackFiles(this.tree, work, () => this.turn());
    this.crew = new Crew(url, task, Math.min(MOST_THREADS, availableParallelism()) - 1);
  }

  put(path: string, directory: TreeNode): Promise<void> | undefined {
    const { size } = directory.stat;
    const parts = Math.max(1, Math.round(size / JOB_SIZE));
    if (parts > 1) return this.putParts(path, directory, parts);
    this.add(path, directory, 0, 1);
    this.size += size;
    return this.size >= JOB_SIZE ? this.send() : undefined;
  }

  async finish(): Promise<readonly LeftFile[]> {
    if (this.directories.length > 0) await this.send();
    await this.crew!.finish();
    return this.left.flat();
  }

  async stop(): Promise<void> {
    await this.crew?.stop();
    this.here?.[Symbol.dispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Signals and what threads say are heard now and then. */
  private turn(): Promise<void> | undefined {
    this.signal?.throwIfAborted();
    return this.pacer.turn();
  }

  private async putParts(path: string, directory: TreeNode, parts: number): Promise<void> {
    for (let part = 0; part < parts; part++) {
      this.add(path, directory, part, parts);
      await this.send();
    }
  }

  private add(path: string, directory: TreeNode, part: number, parts: number): void {
    this.directories.push(path);
    this.numbers.push((directory as ErofsNode).nid, part, parts);
  }

  private async send(): Promise<void> {
    const directories = this.directories.join('\0');
    const job: UnpackJob = { directories, numbers: Float64Array.from(this.numbers) };
    const number = this.jobs++;
    this.directories = [];
    this.numbers = [];
    this.size = 0;
    if (this.crew!.isFull) {
      this.take(number, await this.here!.run(job));
      // What threads have answered is heard only then.
      await setImmediate();
    } else {
      const asked = this.crew!.ask(job, [job.numbers.buffer]);
      // What goes wrong there, `finish` and the next job raise, too.
      asked.then(
        (done) => this.take(number, done),
        () => {},
      );
    }
  }

  private take(number: number, { entries, left, leftNumbers }: UnpackDone): void {
    this.entries += entries;
    if (leftNumbers.length === 0) return;
    this.left[number] = left.split('\0').map((path, index) => ({
      path,
      node: () => this.tree.node(leftNumbers[index]!),
    }));
  }
}
