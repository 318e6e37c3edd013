import { AnoleError } from '@anole/bytes';
import type { FileList } from '@anole/host';
import { ListedFiles } from '@anole/host/in-thread';
import type { Listings } from './source-job.ts';

/** In a thread: reads what is in the directory that an image is made of. */
export class SourceFiles {
  readonly #files = new ListedFiles();

  /** Takes a list: numbers are those of its files from now on. */
  take(list: FileList): void {
    this.#files.take(list);
  }

  /**
   * Fills `target` from byte `offset` of a file.
   *
   * @throws AnoleError `EROFS_SOURCE_CHANGED` where it is another file by now, or shorter; HostError
   */
  read(index: number, offset: number, target: Uint8Array): void {
    const count = this.#files.readInto(index, offset, target);
    if (count === target.length) return;
    const path = this.#files.path(index);
    if (count === undefined) throw changed(path, 'it is not what it was');
    throw changed(path, `${count} of ${target.length} bytes are left at ${offset}`);
  }

  /** Closes what is open of the list. */
  release(): void {
    this.#files.release();
  }

  /** Lists directories. */
  listAll(directories: FileList): Listings {
    this.#files.take(directories);
    const listings = Array.from({ length: this.#files.count }, (_, index) => {
      try {
        return this.#files.list(index);
      } catch {
        // Who asks for it lists it again, and meets what is wrong.
        return undefined;
      }
    });
    this.#files.release();
    return listings;
  }
}

function changed(path: string, how: string): AnoleError {
  return new AnoleError('EROFS_SOURCE_CHANGED', `Cannot store ${path}: ${how}`, {
    details: { path },
    hint: 'the tree changed while it was read: try again when nothing writes to it',
  });
}
