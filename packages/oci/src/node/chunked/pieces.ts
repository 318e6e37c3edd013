import { createHash, hash } from 'node:crypto';
import type { Source } from '@anole/bytes';
import {
  memberOf,
  memberSource,
  readTar,
  type Stat,
  type TarMember,
  tarHeader,
  tarPadding,
} from '@anole/vfs';
import { isOwnName } from '../../toc/chunked-toc.ts';
import { type TocEntry, tocEntry } from '../../toc/write-toc.ts';
import { Chunker, type Chunking } from '../chunker.ts';

/** Bytes read at once. */
const READ = 1024 * 1024;

/** Bytes of an archive, in their order. They are the receiver's. */
export interface Piece {
  readonly bytes: Uint8Array;
  /** Where they are a chunk of a file: what the table says of the chunk, and of the file. */
  readonly chunk?: { readonly entry: TocEntry; readonly file: TocEntry };
}

/**
 * Cuts an archive into its files' chunks and what lies between them, and makes the entries of its table of
 * contents. Together the pieces are the archive as it was, but for files with holes, which are written whole, and for
 * what formats like these add themselves. Its end is left out.
 */
export class ArchivePieces {
  readonly entries: TocEntry[] = [];
  /** Where the last member ended in the archive. */
  end = 0;
  private readonly archive: Source;
  private readonly chunker: Chunker;
  private readonly signal: AbortSignal | undefined;

  constructor(archive: Source, chunking: Chunking, signal: AbortSignal | undefined) {
    this.archive = archive;
    this.chunker = new Chunker(chunking);
    this.signal = signal;
  }

  /** Those of all members but some. */
  async *members(isDone: (member: TarMember) => boolean): AsyncGenerator<Piece> {
    for await (const entry of readTar(this.archive)) {
      this.signal?.throwIfAborted();
      if (!isOwnName(entry.path) && !isDone(entry)) yield* this.member(memberOf(entry));
      const stored = entry.dataOffset + entry.storedSize;
      this.end = Math.min(stored + tarPadding(stored), this.archive.size);
    }
  }

  /** Those of one member. */
  async *member(member: TarMember): AsyncGenerator<Piece> {
    const { headerOffset, dataOffset, extents, type } = member;
    const length = dataOffset - headerOffset;
    const header = extents ? plainHeader(member) : await this.copy(headerOffset, length);
    yield { bytes: header };
    const file = tocEntry(member);
    this.entries.push(file);
    if (type === 'file' && member.size > 0) {
      yield* this.chunks(memberSource(this.archive, member), file);
    }
    const size = extents ? member.size : member.storedSize;
    const padding = tarPadding(size);
    if (padding === 0) return;
    const bytes = new Uint8Array(padding);
    if (!extents) {
      const at = dataOffset + size;
      // Some writers end without the last padding.
      bytes.set(await this.archive.read(at, Math.min(padding, this.archive.size - at)));
    }
    yield { bytes };
  }

  /** A file that the archive has not. */
  *added(path: string, content: Uint8Array): Generator<Piece> {
    const member = addedMember(path, content.length);
    yield { bytes: plainHeader(member) };
    const file = tocEntry(member);
    this.entries.push(file);
    file.digest = digestOf(content);
    file.chunkDigest = file.digest;
    yield { bytes: content, chunk: { entry: file, file } };
    yield { bytes: new Uint8Array(tarPadding(content.length)) };
  }

  /** What is behind the last member. */
  async *rest(): AsyncGenerator<Piece> {
    for (let at = this.end; at < this.archive.size; at += READ) {
      yield { bytes: await this.copy(at, Math.min(READ, this.archive.size - at)) };
    }
  }

  private async *chunks(content: Source, file: TocEntry): AsyncGenerator<Piece> {
    const whole = createHash('sha256');
    let entry = file;
    let start = 0;
    const piece = (view: Uint8Array): Piece => {
      const bytes = view.slice();
      entry.chunkDigest = digestOf(bytes);
      if (bytes.length < content.size) {
        whole.update(bytes);
        entry.chunkSize = bytes.length;
      }
      if (start > 0) entry.chunkOffset = start;
      if (entry !== file) this.entries.push(entry);
      const made = { bytes, chunk: { entry, file } };
      start += bytes.length;
      entry = { name: file.name, type: 'chunk' };
      return made;
    };
    for (let at = 0; at < content.size; at += READ) {
      this.signal?.throwIfAborted();
      const bytes = await content.read(at, Math.min(READ, content.size - at));
      for (const view of this.chunker.add(bytes)) yield piece(view);
    }
    for (const view of this.chunker.end()) yield piece(view);
    const isOne = file.chunkSize === undefined;
    file.digest = isOne ? file.chunkDigest! : `sha256:${whole.digest('hex')}`;
  }

  private async copy(at: number, length: number): Promise<Uint8Array> {
    return new Uint8Array(await this.archive.read(at, length));
  }
}

/** The blocks before a file that has all of its bytes behind them. */
export function plainHeader(member: TarMember): Uint8Array {
  const { name, mode, uid, gid, size, mtime, xattrs } = member;
  const stat: Stat = { ino: 1, nlink: 1, type: 'file', mode, uid, gid, size, mtime };
  return tarHeader({ name, stat, xattrs, link: '', isHardLink: false, storedSize: size });
}

/** A file of root's. */
export function addedMember(path: string, size: number): TarMember {
  return {
    name: path,
    path,
    type: 'file',
    mode: 0o444,
    uid: 0,
    gid: 0,
    userName: '',
    groupName: '',
    mtime: { seconds: 0, nanoseconds: 0 },
    size,
    target: '',
    xattrs: new Map(),
    pax: new Map(),
    headerOffset: 0,
    dataOffset: 0,
    storedSize: size,
  };
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${hash('sha256', bytes, 'hex')}`;
}
