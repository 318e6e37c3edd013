import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FileCopy, ImagePart } from '@anole/erofs';
import { FileListing } from '@anole/host';
import { FileCopier } from './file-copier.ts';
import { SourceFiles } from './source-files.ts';
import { COPY_COLUMNS, type CopyJob, type SourceCrew } from './source-job.ts';

/** Files that there is room for at first. */
const FILES = 256;
/** Bytes that make a job. */
const JOB_BYTES = 2 * 1024 * 1024;

/**
 * Threads that put what files of a directory hold into an image, which they write to on their own. A
 * part with what files lack is theirs, too. While they have enough to do, this thread does the same.
 */
export class CopyThreads {
  readonly #crew: () => SourceCrew;
  readonly #image: Pick<CopyJob, 'fd' | 'blockSize'>;
  /** Byte of the file at which the image begins. */
  readonly #start: number;
  // Many small objects would take longer to hand over than the copying takes.
  readonly #files = new FileListing();
  #numbers = new Float64Array(FILES * COPY_COLUMNS);
  #bytes = 0;
  readonly #rooms: Uint8Array[] = [];
  #copier: FileCopier | undefined;

  constructor(crew: () => SourceCrew, image: Pick<CopyJob, 'fd' | 'blockSize'>, start: number) {
    this.#crew = crew;
    this.#start = start;
    this.#image = image;
  }

  /** Takes a part of an image whose copies are its to make. Gives what to wait for before the next. */
  put({ offset, bytes, copies = [] }: ImagePart): Promise<void> | undefined {
    for (const copy of copies) this.#put(copy);
    // What lies beside inodes goes with them.
    if (bytes.length === 0 && this.#bytes < JOB_BYTES) return undefined;
    return this.#send(this.#start + offset, bytes);
  }

  async finish(): Promise<void> {
    if (this.#files.count > 0) await this.#send(0, new Uint8Array(0));
    await this.#crew().finish();
  }

  #put({ node, from, length, to, tail, tailTo }: FileCopy): void {
    const at = this.#files.count * COPY_COLUMNS;
    if (!this.#files.add(node)) throw new TypeError('a file to copy is none of this machine');
    this.#bytes += length + tail;
    if (at === this.#numbers.length) {
      const larger = new Float64Array(at * 2);
      larger.set(this.#numbers);
      this.#numbers = larger;
    }
    const numbers = this.#numbers;
    numbers[at] = from;
    numbers[at + 1] = length;
    numbers[at + 2] = this.#start + to;
    numbers[at + 3] = tail;
    numbers[at + 4] = this.#start + tailTo;
  }

  #send(offset: number, part: Uint8Array): Promise<void> | undefined {
    const numbers = this.#numbers.slice(0, this.#files.count * COPY_COLUMNS);
    const files = this.#files.take();
    this.#bytes = 0;
    const job: CopyJob = { kind: 'copy', ...this.#image, offset, bytes: part, files, numbers };
    if (!this.#crew().isFull) return this.#ask(job);
    this.#copier ??= new FileCopier(new SourceFiles());
    this.#copier.copy(job);
    // By then what threads have answered is known.
    return nextTurn();
  }

  #ask(job: CopyJob): undefined {
    const { bytes: part, files, numbers } = job;
    const room = this.#roomFor(part);
    const bytes = room.subarray(0, part.length);
    bytes.set(part);
    const again = () => void this.#rooms.push(room);
    // What fails is raised by the next call.
    this.#crew()
      .ask({ ...job, bytes }, [files.keys.buffer, numbers.buffer])
      .then(again, () => {});
  }

  /** Memory that threads have done with: new memory for each part takes longer than copying it does. */
  #roomFor({ length }: Uint8Array): Uint8Array {
    const room = this.#rooms.pop();
    return room && room.length >= length ? room : new Uint8Array(new SharedArrayBuffer(length));
  }
}
