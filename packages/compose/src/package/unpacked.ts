import type { Source } from '@anole/bytes';
import type { FileType } from '@anole/vfs';
import { PackageError } from './errors.ts';

/** One file of a package as its data member has it. */
export interface UnpackedEntry {
  /** Path as in the package, without leading slash; empty for the root. */
  readonly path: string;
  readonly type: FileType | 'hardlink';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Whole seconds since 1970: package files keep no finer time. */
  readonly mtime: number;
  /** Bytes of a file, and where they begin among the package's contents. */
  readonly size?: number;
  readonly offset?: number;
  /** Target of a symbolic link; of a hard link the path of the file it is. */
  readonly target?: string;
  readonly rdev?: { readonly major: number; readonly minor: number };
  /** By name, in base64. */
  readonly xattrs?: Readonly<Record<string, string>>;
}

/** What an unpacked package says of itself: all of it is JSON. */
export interface UnpackedIndex {
  /** Files of the control member by name: see `readControl`. */
  readonly control: Readonly<Record<string, string>>;
  readonly entries: readonly UnpackedEntry[];
}

/** A package ready to be put into a tree. */
export interface UnpackedPackage extends UnpackedIndex {
  /** Contents of its files one after another; closed by whoever opened the package. */
  readonly contents: Source;
}

/**
 * An unpacked package in the cache is one file: contents, the index as JSON, and a trailer of 32
 * bytes: magic, sizes of contents and of the index as u64 little endian. A change of this form
 * needs a new number in the magic and in {@link UNPACKED_VERSION}.
 */
export const UNPACKED_VERSION = 1;
export const TRAILER_SIZE = 32;
const MAGIC = `anole-unpacked ${UNPACKED_VERSION}\n`.slice(0, 16).padEnd(16, ' ');
const INDEX_LIMIT = 512 * 1024 * 1024;

export function writeTrailer(contentsSize: number, indexSize: number): Uint8Array {
  const bytes = new Uint8Array(TRAILER_SIZE);
  const view = new DataView(bytes.buffer);
  new TextEncoder().encodeInto(MAGIC, bytes);
  view.setBigUint64(16, BigInt(contentsSize), true);
  view.setBigUint64(24, BigInt(indexSize), true);
  return bytes;
}

/** Opens an unpacked package out of the cache. @throws PackageError `DEB_BAD_CACHE` */
export async function readUnpacked(file: Source): Promise<UnpackedPackage> {
  if (file.size < TRAILER_SIZE) throw bad('it is too short');
  const trailer = await file.read(file.size - TRAILER_SIZE, TRAILER_SIZE);
  if (new TextDecoder().decode(trailer.subarray(0, 16)) !== MAGIC)
    throw bad('its trailer is wrong');
  const view = new DataView(trailer.buffer, trailer.byteOffset, TRAILER_SIZE);
  const contentsSize = Number(view.getBigUint64(16, true));
  const indexSize = Number(view.getBigUint64(24, true));
  if (indexSize > INDEX_LIMIT || contentsSize + indexSize + TRAILER_SIZE !== file.size) {
    throw bad('its sizes do not add up');
  }
  const index = new TextDecoder().decode(await file.read(contentsSize, indexSize));
  return { ...parseIndex(index), contents: file };
}

function parseIndex(text: string): UnpackedIndex {
  try {
    const index: UnpackedIndex = JSON.parse(text);
    if (Array.isArray(index.entries) && typeof index.control['control'] === 'string') return index;
  } catch {
    // Told below.
  }
  throw bad('its index is damaged');
}

function bad(reason: string): PackageError {
  return new PackageError(
    'DEB_BAD_CACHE',
    `Cannot read an unpacked package of the cache: ${reason}`,
  );
}
