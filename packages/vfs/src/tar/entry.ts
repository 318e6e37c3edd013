import type { Awaitable } from '@anole/bytes';
import type { DeviceNumber, Extent, FileType, Timestamp } from '../tree.ts';

/** What a tar archive, or a table of its contents, says about one member. */
export interface TarMember {
  /** The name as the archive gives it, by `decodeName`. */
  readonly name: string;
  /** The name as a path in the archive: no leading slash, no `.` or `..`; empty for the root. */
  readonly path: string;
  readonly type: FileType | 'hardlink';
  /** 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Empty where the archive has none. */
  readonly userName: string;
  readonly groupName: string;
  readonly mtime: Timestamp;
  readonly atime?: Timestamp;
  readonly ctime?: Timestamp;
  /** Bytes of the file as seen by its readers, holes included; 0 for all but files. */
  readonly size: number;
  /** Target of a symbolic link as written; for a hard link the `path` of the member it is. */
  readonly target: string;
  readonly rdev?: DeviceNumber;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  /** Ranges of a sparse file that hold data, in order; what lies between reads as zeros. */
  readonly extents?: readonly Extent[];
  /**
   * The PAX records in force, raw: the entry's own over the global ones. Of a key that repeats, the
   * last.
   */
  readonly pax: ReadonlyMap<string, Uint8Array>;
  /** Where the entry begins, its PAX and long-name headers included; a multiple of 512. */
  readonly headerOffset: number;
  /** Where its stored bytes begin, the map of a sparse file left out; a multiple of 512. */
  readonly dataOffset: number;
  /** Bytes stored at `dataOffset`: those of the extents one after another, or the whole file. */
  readonly storedSize: number;
}

/**
 * One member of a tar archive that is read. Everything but its content is complete and stays valid; the
 * content can be read once, until the next entry is asked for.
 */
export interface TarEntry extends TarMember {
  /**
   * The file's bytes, holes as zeros, in chunks that may alias the input's.
   *
   * @throws TarError `TAR_TRUNCATED`, and `TAR_BODY_GONE` once the reader has gone on.
   */
  body(): AsyncIterable<Uint8Array>;
  /** As `body`, without the holes of a sparse file. */
  stored(): AsyncIterable<Uint8Array>;
  /**
   * What `stored` gives, as one piece: aliases the input where it came in one chunk. Memory grows
   * with what is read, never with what a header claims.
   */
  storedBytes(): Awaitable<Uint8Array>;
}

export interface TarOptions {
  /**
   * Chunks of a stream are valid until the next one is asked for. So are pieces of bodies then; all else
   * that an entry has stays. Default false: chunks pass to the reader.
   */
  readonly lent?: boolean;
  readonly signal?: AbortSignal;
  /**
   * Bytes of PAX headers, long names and sparse maps that one entry may have. Default 4 MiB. Global
   * PAX records may have 64 KiB in all.
   */
  readonly maxMetadata?: number;
}
