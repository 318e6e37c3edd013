import type { MessagePort } from 'node:worker_threads';
import { type MemoryOverlay, VfsError } from '@anole/vfs';
import {
  chunkBytes,
  type FilesReport,
  type FilesRequest,
  type OpenedFile,
  type WholeFile,
} from '../../files/messages.ts';
import { reported } from '../reported.ts';
import { archiveOf } from './archive.ts';
import { Changes, done } from './changes.ts';
import type { Namespace, Place } from './namespace.ts';
import * as operations from './operations.ts';
import { Watches } from './watches.ts';

/** Files that may be read and written at once. */
const MAX_HANDLES = 1024;
/** Bytes of all files that one `read-many` may give. */
const MAX_AT_ONCE = 256 << 20;

interface Writing {
  readonly staged: operations.Staged;
  /** Bytes that are written. */
  size: number;
}

/** Answers calls for files, in the thread of the machine, one after the other. */
export class FilesServer {
  readonly #names: Namespace;
  readonly #port: MessagePort;
  readonly #watches: Watches;
  readonly #root: MemoryOverlay;
  readonly #archives = new Map<number, AsyncGenerator<Uint8Array>>();
  readonly #reading = new Map<number, Place>();
  readonly #writing = new Map<number, Writing>();
  #next = 1;
  #last: Promise<void> = Promise.resolve();

  constructor(names: Namespace, root: MemoryOverlay, port: MessagePort) {
    this.#names = names;
    this.#root = root;
    this.#port = port;
    this.#watches = new Watches(names, (watch, events) => this.#post({ watch, events }));
    port.on('message', (request: FilesRequest) => {
      this.#last = this.#last.then(() => this.#answer(request));
    });
    // The machine, not this port, keeps the thread.
    port.unref();
  }

  async #answer(request: FilesRequest): Promise<void> {
    const changes = new Changes();
    const { id } = request;
    let failure: unknown;
    let value: unknown;
    try {
      value = await this.#serve(request, changes);
    } catch (error) {
      failure = error ?? new Error('unknown');
    }
    changes.settle();
    for (const event of changes.events) this.#watches.note(event);
    const { stale } = changes;
    const told = stale.length > 0 ? { stale } : {};
    if (failure !== undefined) this.#post({ id, ...told, error: reported(failure) });
    else this.#post({ id, ...told, value }, buffersIn(value));
  }

  #post(report: FilesReport, transfer: readonly ArrayBuffer[] = []): void {
    this.#port.postMessage(report, transfer);
  }

  async #serve(request: FilesRequest, changes: Changes): Promise<unknown> {
    const names = this.#names;
    switch (request.op) {
      case 'stat':
        return await this.#stat(request.path, request.follow);
      case 'list':
        return await operations.list(names, request.path, request.depth);
      case 'open':
        return await this.#open(request.path);
      case 'read':
        return await copy(this.#read(request.handle), request.offset);
      case 'read-many':
        return await this.#readMany(request.paths);
      case 'create': {
        const making = await operations.making(names, changes, request);
        const staged = await operations.stage(making, request.path, request);
        return this.#handle(this.#writing, { staged, size: 0 });
      }
      case 'append':
        return await append(this.#write(request.handle), request.bytes);
      case 'commit':
        return await this.#commit(request.handle, changes);
      case 'close':
        return await this.#close(request.handle);
      case 'write-many':
        return await this.#writeMany(request.files, changes);
      case 'mkdir': {
        const making = await operations.making(names, changes, request);
        const made = await operations.makeDirectory(making, request.path, request.mode);
        return await operations.infoOf(made);
      }
      case 'remove':
        return await operations.remove(names, changes, request.path, request.recursive);
      case 'move': {
        const making = await operations.making(names, changes, {});
        return await operations.move(making, request.from, request.to);
      }
      case 'watch':
        return this.#watches.add((await names.at(request.path)).path, request.recursive);
      case 'unwatch':
        return this.#watches.remove(request.handle);
      case 'archive':
        return this.#handle(this.#archives, archiveOf(this.#root, names, request.what));
      case 'archive-next':
        return (await this.#archives.get(request.handle)?.next())?.value ?? undefined;
      case 'dropped': {
        const [root] = names.all;
        for (const stale of request.stale) root?.server.dropped(stale);
        return undefined;
      }
    }
  }

  async #stat(path: string, follow: boolean): Promise<unknown> {
    const place = await this.#names.at(path, follow);
    const info = await operations.infoOf(place);
    done(place.mount, place.node);
    return info;
  }

  async #open(path: string): Promise<OpenedFile> {
    const place = await this.#names.at(path);
    if (place.node.stat.type === 'directory') {
      throw new VfsError('VFS_IS_DIRECTORY', `Cannot read ${path}: it is a directory`);
    }
    const info = await operations.infoOf(place);
    const bytes = await copy(place, 0);
    if (bytes.length === info.size) {
      done(place.mount, place.node);
      return { info, bytes };
    }
    return { info, bytes, handle: this.#handle(this.#reading, place) };
  }

  async #readMany(paths: readonly string[]): Promise<Uint8Array[]> {
    const all: Uint8Array[] = [];
    let left = MAX_AT_ONCE;
    for (const path of paths) {
      const place = await this.#names.at(path);
      const { size } = place.node.stat;
      left -= size;
      if (left < 0) {
        throw new VfsError('VFS_TOO_LARGE', `Cannot read ${paths.length} files at once`, {
          hint: `Read files of more than ${MAX_AT_ONCE >> 20} MiB in all one by one`,
        });
      }
      all.push((await place.node.read(0, size)).slice());
      done(place.mount, place.node);
    }
    return all;
  }

  async #writeMany(files: readonly WholeFile[], changes: Changes): Promise<void> {
    for (const file of files) {
      const making = await operations.making(this.#names, changes, file);
      const staged = await operations.stage(making, file.path, file);
      try {
        await staged.node.write(0, file.bytes);
        await operations.put(staged, changes);
      } catch (error) {
        await operations.discard(staged);
        throw error;
      }
    }
  }

  async #commit(handle: number, changes: Changes): Promise<unknown> {
    const { staged } = this.#write(handle);
    const place = await operations.put(staged, changes);
    this.#writing.delete(handle);
    return await operations.infoOf(place);
  }

  async #close(handle: number): Promise<void> {
    const reading = this.#reading.get(handle);
    if (reading !== undefined) done(reading.mount, reading.node);
    this.#reading.delete(handle);
    await this.#archives.get(handle)?.return(undefined);
    this.#archives.delete(handle);
    const writing = this.#writing.get(handle);
    this.#writing.delete(handle);
    if (writing !== undefined) await operations.discard(writing.staged);
  }

  #handle<T>(handles: Map<number, T>, value: T): number {
    if (handles.size >= MAX_HANDLES) {
      throw new VfsError('VFS_NO_SPACE', `Cannot have more than ${MAX_HANDLES} files open`);
    }
    handles.set(this.#next, value);
    return this.#next++;
  }

  #read(handle: number): Place {
    const place = this.#reading.get(handle);
    if (place === undefined) throw new VfsError('VFS_INVALID', `Cannot find handle ${handle}`);
    return place;
  }

  #write(handle: number): Writing {
    const writing = this.#writing.get(handle);
    if (writing === undefined) throw new VfsError('VFS_INVALID', `Cannot find handle ${handle}`);
    return writing;
  }
}

async function append(writing: Writing, bytes: Uint8Array): Promise<void> {
  await writing.staged.node.write(writing.size, bytes);
  writing.size += bytes.length;
}

/** A piece of a file, for another thread. */
async function copy({ node }: Place, offset: number): Promise<Uint8Array> {
  return (await node.read(offset, chunkBytes)).slice();
}

/** Memory that moves to the other thread instead of being copied. */
function buffersIn(value: unknown): ArrayBuffer[] {
  if (value instanceof Uint8Array) return [value.buffer as ArrayBuffer];
  if (Array.isArray(value)) return value.flatMap(buffersIn);
  const bytes = (value as Partial<OpenedFile> | undefined)?.bytes;
  return bytes instanceof Uint8Array ? [bytes.buffer as ArrayBuffer] : [];
}
