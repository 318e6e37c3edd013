import type { MessagePort } from 'node:worker_threads';
import { AnoleError, type CallOptions, inPieces } from '@anole/bytes';
import type { Stale } from '@anole/fuse';
import type { DropRequest } from '../agent/wire.ts';
import type { AgentClient } from '../client/agent-client.ts';
import { chunksOf, type Input } from '../input.ts';
import { FilesCalls } from './calls.ts';
import {
  chunkBytes,
  type FileEvent,
  type FileInfo,
  type NewFileOptions,
  type OpenedFile,
  type WholeFile,
} from './messages.ts';
import { watchEvents } from './watch.ts';

export interface FileToWrite extends NewFileOptions {
  readonly path: string;
  readonly data: string | Uint8Array;
}

type Signal = Pick<CallOptions, 'signal'>;

/** Pieces of a file that are under way at once. */
const pipelined = 4;
/** How long a guest may take to write what it holds in memory, before what is there is read. */
const syncPatience = 5_000;
/** Names in one request to the agent, whose payload is bounded. */
const namesAtOnce = 2_000;

/**
 * The files of a sandbox, as the guest has them: read and written at the host's end of virtio-fs, so that
 * bytes do not pass through the guest.
 *
 * Paths are absolute and mean what they mean in the guest: symbolic links lead from its root, `..` stays
 * below it. `/proc`, `/sys`, `/dev` and what else the guest mounted itself cannot be reached.
 *
 * What is written is there for every command started, and all input sent, afterwards. A file is
 * replaced whole, at once, and not before all of it has come; who has the former one open keeps that. What
 * programs wrote is there too, also what the guest still held in memory. A guest that is paused, or does
 * not answer for 5 s, is not asked.
 *
 * Methods raise VfsErrors: `VFS_NOT_FOUND`, `VFS_IS_DIRECTORY`, `VFS_NOT_DIRECTORY`, `VFS_NOT_PERMITTED`,
 * `VFS_NO_SPACE`, `VFS_READ_ONLY`, `VFS_LOOP`, `VFS_INVALID` …; and `SANDBOX_CLOSED`.
 *
 * @example
 * await sandbox.files.write('/work/main.py', 'print(6 * 7)\n');
 * const command = await sandbox.exec(['python3', '/work/main.py']);
 */
export class SandboxFiles {
  readonly #calls: FilesCalls;
  readonly #agent: Pick<AgentClient, 'drop' | 'sync'>;
  #syncing: Promise<void> | undefined;
  /** Set while the guest stands still. */
  still = false;

  constructor(port: MessagePort, agent: Pick<AgentClient, 'drop' | 'sync'>) {
    this.#calls = new FilesCalls(port, { onStale: (stale) => this.#drop(stale) });
    this.#agent = agent;
  }

  /** All bytes of a file. */
  async read(path: string, options: Signal = {}): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const part of this.stream(path, options)) {
      parts.push(part);
      size += part.length;
    }
    if (parts.length === 1) return parts[0]!;
    const all = new Uint8Array(size);
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  /** A file as text, which must be UTF-8. */
  async readText(path: string, options: Signal = {}): Promise<string> {
    return new TextDecoder('utf-8', { fatal: true }).decode(await this.read(path, options));
  }

  /** A file piece by piece, of any size. */
  async *stream(path: string, { signal }: Signal = {}): AsyncGenerator<Uint8Array> {
    await this.#sync();
    signal?.throwIfAborted();
    const { info, bytes, handle } = await this.#calls.call<OpenedFile>({ op: 'open', path });
    if (bytes.length > 0) yield bytes;
    if (handle === undefined) return;
    try {
      const under: Promise<Uint8Array>[] = [];
      for (let asked = bytes.length, got = bytes.length; ; ) {
        for (; under.length < pipelined && asked < info.size; asked += chunkBytes) {
          const piece = this.#calls.call<Uint8Array>({ op: 'read', handle, offset: asked });
          piece.catch(() => {});
          under.push(piece);
        }
        const piece = await under.shift();
        signal?.throwIfAborted();
        if (piece === undefined || piece.length === 0) return;
        got += piece.length;
        yield piece;
        if (got >= info.size) return;
      }
    } finally {
      this.#calls.tell({ op: 'close', handle });
    }
  }

  /** Several files at once, in the order of their paths; 256 MiB at most. */
  async readAll(paths: readonly string[]): Promise<Uint8Array[]> {
    await this.#sync();
    return await this.#calls.call({ op: 'read-many', paths });
  }

  /** Writes a file, of any size, and the directories above it where they are missing. */
  async write(
    path: string,
    data: Input,
    { signal, ...options }: NewFileOptions & Signal = {},
  ): Promise<FileInfo> {
    signal?.throwIfAborted();
    const handle = await this.#calls.call<number>({ op: 'create', path, ...options });
    try {
      const under: Promise<void>[] = [];
      for await (const bytes of inPieces(bytesOf(data), chunkBytes)) {
        signal?.throwIfAborted();
        const done = this.#calls.call<void>({ op: 'append', handle, bytes }, [bytes.buffer]);
        done.catch(() => {});
        under.push(done);
        if (under.length >= pipelined) await under.shift();
      }
      await Promise.all(under);
      return await this.#calls.call({ op: 'commit', handle });
    } catch (error) {
      this.#calls.tell({ op: 'close', handle });
      throw error;
    }
  }

  /** Writes many files with one call. Where one cannot be written, those before it are. */
  async writeAll(files: readonly FileToWrite[]): Promise<void> {
    const whole: WholeFile[] = files.map(({ data, ...file }) => ({
      ...file,
      bytes: typeof data === 'string' ? encoder.encode(data) : data,
    }));
    await this.#calls.call({ op: 'write-many', files: whole });
  }

  /**
   * What is in a directory.
   * @param depth levels: 1, the default, is the directory's own entries
   */
  async list(path: string, { depth = 1 }: { readonly depth?: number } = {}): Promise<FileInfo[]> {
    await this.#sync();
    return await this.#calls.call({ op: 'list', path, depth });
  }

  /** @param followSymlinks whether a symbolic link at the end is followed. Default true. */
  async stat(
    path: string,
    { followSymlinks = true }: { readonly followSymlinks?: boolean } = {},
  ): Promise<FileInfo> {
    await this.#sync();
    return await this.#calls.call({ op: 'stat', path, follow: followSymlinks });
  }

  async exists(path: string): Promise<boolean> {
    try {
      await this.stat(path);
      return true;
    } catch (error) {
      const absent = ['VFS_NOT_FOUND', 'VFS_NOT_DIRECTORY'];
      if (AnoleError.is(error) && absent.includes(error.code)) return false;
      throw error;
    }
  }

  /** Makes a directory, and those above it; one that is there is left as it is. */
  mkdir(path: string, options: NewFileOptions = {}): Promise<FileInfo> {
    return this.#calls.call({ op: 'mkdir', path, ...options });
  }

  /** Removes a file or a symbolic link, or a directory with all that is in it. */
  remove(path: string, { recursive = true }: { readonly recursive?: boolean } = {}): Promise<void> {
    return this.#calls.call({ op: 'remove', path, recursive });
  }

  /** Gives something another name, over a file that has it; into a directory that has it. */
  move(from: string, to: string): Promise<void> {
    return this.#calls.call({ op: 'move', from, to });
  }

  /**
   * A tar archive: of what was changed of the image, as the layer of an OCI image with whiteouts for what
   * was removed; or of all that is there. Volumes and the guest kernel's own file systems are left out.
   * Only of a guest that stands still is it the state of one moment: see `Sandbox.archive`.
   */
  async *archive(what: 'changes' | 'all', { signal }: Signal = {}): AsyncGenerator<Uint8Array> {
    await this.#sync();
    const handle = await this.#calls.call<number>({ op: 'archive', what });
    try {
      for (;;) {
        signal?.throwIfAborted();
        const call = { op: 'archive-next', handle } as const;
        const bytes = await this.#calls.call<Uint8Array | undefined>(call);
        if (bytes === undefined) return;
        yield bytes;
      }
    } finally {
      this.#calls.tell({ op: 'close', handle });
    }
  }

  /** Has the guest write out what it holds in memory. */
  async sync(): Promise<void> {
    await this.#sync();
  }

  /**
   * Tells what changes at a path, or in a directory, by whom ever. What a guest writes is told when its
   * kernel writes it out: when the file is closed, at the latest after half a minute.
   */
  async watch(
    path: string,
    { recursive = false, signal }: { readonly recursive?: boolean } & Signal = {},
  ): Promise<AsyncIterableIterator<FileEvent>> {
    signal?.throwIfAborted();
    const handle = await this.#calls.call<number>({ op: 'watch', path, recursive });
    return watchEvents(this.#calls, handle, signal);
  }

  /** Has the guest write what it holds in memory. One sync serves all who ask before it begins. */
  async #sync(): Promise<void> {
    if (this.still) return;
    this.#syncing ??= Promise.resolve().then(() => {
      this.#syncing = undefined;
      return withPatience(this.#agent.sync());
    });
    await this.#syncing;
  }

  #drop(stale: readonly Stale[]): void {
    for (const part of partsOf(stale)) {
      const done = () => this.#calls.tell({ op: 'dropped', stale: [part] });
      // Where the agent cannot any more, nothing reads names any more.
      void this.#agent.drop([requestOf(part)]).then(done, () => {});
    }
  }
}

const encoder = new TextEncoder();

function requestOf({ ino, path, present, absent }: Stale): DropRequest {
  return { ino, directory: `/${path.join('/')}`, present, absent };
}

function* partsOf(all: readonly Stale[]): Generator<Stale> {
  for (const { present, absent, ...directory } of all) {
    const names = Math.max(present.length, absent.length, 1);
    for (let at = 0; at < names; at += namesAtOnce) {
      const part = (list: readonly string[]) => list.slice(at, at + namesAtOnce);
      yield { ...directory, present: part(present), absent: part(absent) };
    }
  }
}

async function withPatience(sync: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, syncPatience);
  try {
    await Promise.race([sync, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

async function* bytesOf(input: Input): AsyncGenerator<Uint8Array> {
  for await (const each of chunksOf(input)) {
    yield typeof each === 'string' ? encoder.encode(each) : each;
  }
}
