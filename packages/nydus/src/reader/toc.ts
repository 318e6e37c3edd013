import { type Awaitable, type Flow, flow, type Source, viewOf, wait } from '@anole/bytes';
import { parseTarHeader } from '@anole/vfs';
import type { RafsCodecs } from '../codecs.ts';
import { damaged, type RafsError } from '../errors.ts';
import { sameBytes } from '../hex.ts';
import {
  parts,
  TAR_HEADER_SIZE,
  TOC_ENTRY_SIZE,
  TOC_SIZE_MAX,
  TocEntry,
  tocFlags,
} from '../layout/toc.ts';

/** A part of a blob, found by its name. */
export interface BlobPart {
  readonly name: string;
  readonly compressor: 'none' | 'zstd' | 'lz4_block';
  readonly offset: number;
  readonly compressedSize: number;
  readonly size: number;
  /** SHA-256 of what it decodes to; undefined where the blob does not say. */
  readonly digest: Uint8Array | undefined;
}

/** Most bytes of a part that is read whole. */
const PART_MAX = 2 ** 29;

/**
 * The parts of a blob by its table of contents; of a blob without one the bootstrap, if it ends with
 * that. None where a blob ends with neither: one of before 2.2, or a foreign one.
 *
 * @throws RafsError `RAFS_BAD_BLOB_META`
 */
export function readParts(source: Source): Awaitable<readonly BlobPart[]> {
  return flow(() => partsOf(source));
}

/** The table of contents of a blob with its header, undefined where there is none. */
export function readToc(source: Source): Awaitable<Uint8Array | undefined> {
  return flow(function* () {
    if (source.size < TAR_HEADER_SIZE) return undefined;
    const size = Math.min(TOC_SIZE_MAX, source.size);
    const tail = new Uint8Array(yield* wait(source.read(source.size - size, size)));
    const last = lastHeader(tail, source.size);
    if (last?.name !== parts.toc) return undefined;
    const start = tail.length - TAR_HEADER_SIZE - last.size;
    if (start < 0 || last.size % TOC_ENTRY_SIZE !== 0) throw bad(`it has ${last.size} bytes`);
    return tail.subarray(start);
  });
}

function* partsOf(source: Source): Flow<readonly BlobPart[]> {
  const toc = yield* wait(readToc(source));
  if (toc === undefined) return yield* bootstrapAtEnd(source);
  const view = viewOf(toc);
  const found: BlobPart[] = [];
  for (let at = 0; at < toc.length - TAR_HEADER_SIZE; at += TOC_ENTRY_SIZE) {
    found.push(partOf(TocEntry.read(view, at), source.size));
  }
  return found;
}

function* bootstrapAtEnd(source: Source): Flow<readonly BlobPart[]> {
  const end = source.size - TAR_HEADER_SIZE;
  if (end < 0) return [];
  const header = new Uint8Array(yield* wait(source.read(end, TAR_HEADER_SIZE)));
  const last = lastHeader(header, source.size);
  if (last?.name !== parts.bootstrap || last.size > end) return [];
  const { name, size } = last;
  const place = { offset: end - size, compressedSize: size, size };
  return [{ name, compressor: 'none', ...place, digest: undefined }];
}

/** The header at the end, or undefined where the blob ends with something else. */
function lastHeader(tail: Uint8Array, size: number): { name: string; size: number } | undefined {
  const header = tail.subarray(tail.length - TAR_HEADER_SIZE);
  if (String.fromCharCode(...header.subarray(257, 262)) !== 'ustar') return undefined;
  return parseTarHeader(header, size - TAR_HEADER_SIZE);
}

function partOf(entry: ReturnType<typeof TocEntry.read>, blobSize: number): BlobPart {
  const end = entry.name.indexOf(0);
  const name = String.fromCharCode(...entry.name.subarray(0, end < 0 ? undefined : end));
  const names = Object.keys(tocFlags) as (keyof typeof tocFlags)[];
  const compressor = names.find((each) => tocFlags[each] === (entry.flags & 0xf));
  if (compressor === undefined) throw bad(`${JSON.stringify(name)} has flags ${entry.flags}`);
  const { compressedOffset: offset, compressedSize, uncompressedSize: size } = entry;
  // The data's offset is not looked at: nydus-image before 2.3 wrote others.
  if (name !== parts.data && offset + compressedSize > blobSize) {
    throw bad(`${JSON.stringify(name)} ends outside the blob`);
  }
  return { name, compressor, offset, compressedSize, size, digest: entry.uncompressedDigest };
}

/**
 * Reads a part of a blob and verifies it.
 *
 * @throws RafsError `RAFS_BAD_BLOB_META`, `RAFS_WRONG_CONTENT`
 */
export function* readPart(source: Source, part: BlobPart, codecs: RafsCodecs): Flow<Uint8Array> {
  const { name, compressor, offset, compressedSize, size, digest } = part;
  if (size > PART_MAX || compressedSize > PART_MAX) throw bad(`${name} has ${size} bytes`);
  const stored = new Uint8Array(yield* wait(source.read(offset, compressedSize)));
  const bytes = compressor === 'none' ? stored : new Uint8Array(size);
  if (compressor !== 'none') {
    try {
      codecs.decoders[compressor](stored, bytes);
    } catch {
      throw damaged('RAFS_WRONG_CONTENT', `Cannot use ${name} of the blob: it does not decode`);
    }
  }
  if (bytes.length !== size) throw bad(`${name} has ${bytes.length} bytes, not ${size}`);
  if (digest && !sameBytes(yield* wait(codecs.hashes.sha256(bytes)), digest)) {
    throw damaged('RAFS_WRONG_CONTENT', `Cannot use ${name} of the blob: its digest is another`);
  }
  return bytes;
}

function bad(reason: string): RafsError {
  return damaged('RAFS_BAD_BLOB_META', `Cannot use the table of contents of the blob: ${reason}`);
}
