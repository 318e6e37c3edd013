import type { ImagePart } from '@anole/erofs';
import { FileListing } from '@anole/host';
import type { CopyJob, SourceCrew } from './source-job.ts';

/** Bytes that make a job. */
const JOB_BYTES = 2 * 1024 * 1024;

/**
 * Threads that put what files of a directory hold into an image, which they write to on their own. A
 * part with what files lack is theirs, too.
 */
export class CopyThreads {
  readonly #crew: () => SourceCrew;
  readonly #image: Pick<CopyJob, 'fd' | 'blockSize'>;
  // Many small objects would take longer to hand over than the copying takes.
  readonly #files = new FileListing();
  #numbers: number[] = [];
  #bytes = 0;

  constructor(crew: () => SourceCrew, image: Pick<CopyJob, 'fd' | 'blockSize'>) {
    this.#crew = crew;
    this.#image = image;
  }

  /** Takes a part of an image whose copies are its to make. Gives what to wait for before the next. */
  put({ offset, bytes, copies = [] }: ImagePart): Promise<void> | undefined {
    for (const { node, from, length, to, tail, tailTo } of copies) {
      if (!this.#files.add(node)) throw new TypeError('a file to copy is none of this machine');
      this.#numbers.push(from, length, to, tail, tailTo);
      this.#bytes += length + tail;
    }
    // What lies beside inodes goes with them.
    if (bytes.length === 0 && this.#bytes < JOB_BYTES) return undefined;
    return this.#send(offset, bytes.slice());
  }

  async finish(): Promise<void> {
    if (this.#files.count > 0) await this.#send(0, new Uint8Array(0));
    await this.#crew().finish();
  }

  #send(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> | undefined {
    const numbers = Float64Array.from(this.#numbers);
    const files = this.#files.take();
    const job: CopyJob = { kind: 'copy', ...this.#image, offset, bytes, files, numbers };
    this.#numbers = [];
    this.#bytes = 0;
    return this.#crew().put(job, [bytes.buffer, numbers.buffer]);
  }
}
