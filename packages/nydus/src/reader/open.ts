import {
  type Awaitable,
  type BytesBudget,
  type Flow,
  flow,
  memorySource,
  type Source,
  viewOf,
  wait,
} from '@anole/bytes';
import { builtInCodecs, type RafsCodecs } from '../codecs.ts';
import { RafsError } from '../errors.ts';
import { SELF_ID } from '../layout/blob.ts';
import { parts } from '../layout/toc.ts';
import { V5_MAGIC } from '../layout/v5.ts';
import type { BlobResolver } from './blob.ts';
import type { RafsImage, Settings } from './image.ts';
import { openV6 } from './open-v6.ts';
import { readPart, readParts, readToc } from './toc.ts';
import { openV5 } from './v5/open.ts';

export interface RafsOptions {
  /** Decoders, hashes and ciphers to use instead of the built-in ones, where there are better ones. */
  readonly codecs?: RafsCodecs;
  /** Bytes of decoded chunks to keep in memory, of all blobs, or what is shared. 32 MiB unless told. */
  readonly decodedCache?: number | BytesBudget;
}

const DECODED_CACHE = 32 * 1024 * 1024;

/**
 * Opens a RAFS image, version 5 or 6, by its bootstrap. Blobs are asked for by their names when they are
 * first needed. Every chunk is verified by its digest before any of it is given. Answers are synchronous
 * as long as the Sources' are, and the hash is (BLAKE3 is; SHA-256 is with `nodeCodecs`).
 *
 * @throws RafsError `RAFS_BAD_BOOTSTRAP`, `RAFS_BAD_BLOB`, `RAFS_UNSUPPORTED`; ErofsError. Reading raises
 *   `RAFS_NO_BLOB`, `RAFS_BAD_BLOB_META`, `RAFS_BAD_CHUNK`, `RAFS_WRONG_CONTENT`, `RAFS_BAD_INODE` too.
 * @example
 * const image = await openRafs(bootstrap, (id) => fileSource(`blobs/${id}`));
 * for await (const { path } of walk(image)) console.log(path);
 */
export function openRafs(
  bootstrap: Source,
  blobs: BlobResolver,
  options: RafsOptions = {},
): Awaitable<RafsImage> {
  const settings: Settings = {
    resolve: blobs,
    codecs: options.codecs ?? builtInCodecs,
    decodedCache: options.decodedCache ?? DECODED_CACHE,
  };
  return flow(() => open(bootstrap, settings));
}

function* open(bootstrap: Source, settings: Settings): Flow<RafsImage> {
  if (bootstrap.size < 4) throw notRafs();
  const head = viewOf(yield* wait(bootstrap.read(0, 4)));
  if (head.getUint32(0, true) === V5_MAGIC) return yield* openV5(bootstrap, settings);
  return yield* openV6(bootstrap, settings);
}

/**
 * Opens the image whose bootstrap lies in a blob, with its data. `blobs` is asked for others.
 *
 * @throws RafsError as `openRafs`; `RAFS_NO_BLOB` where the blob has no bootstrap
 */
export function openRafsBlob(
  blob: Source,
  blobs: BlobResolver = () => undefined,
  options: RafsOptions = {},
): Awaitable<RafsImage> {
  return flow(function* () {
    const bootstrap = yield* bootstrapOf(blob, options.codecs ?? builtInCodecs);
    if (bootstrap === undefined) throw notRafs();
    const resolve: BlobResolver = (id) => (id === SELF_ID || id === '' ? blob : blobs(id));
    return yield* wait(openRafs(memorySource(bootstrap), resolve, options));
  });
}

/** A bootstrap that lies in a blob, and what bootstraps outside say of that blob. */
export interface InlinedBootstrap {
  readonly bootstrap: Uint8Array;
  readonly compressedSize: number;
  readonly tocSize: number;
  readonly tocDigest: Uint8Array;
}

/**
 * The bootstrap that lies in a blob, verified; undefined where none does.
 *
 * @throws RafsError `RAFS_BAD_BLOB_META`, `RAFS_WRONG_CONTENT`
 */
export function readInlined(
  blob: Source,
  codecs: RafsCodecs = builtInCodecs,
): Awaitable<InlinedBootstrap | undefined> {
  return flow(function* () {
    const bootstrap = yield* bootstrapOf(blob, codecs);
    if (bootstrap === undefined) return undefined;
    const toc = yield* wait(readToc(blob));
    const tocDigest = toc && (yield* wait(codecs.hashes.sha256(toc)));
    return {
      bootstrap,
      compressedSize: blob.size,
      tocSize: toc?.length ?? 0,
      tocDigest: tocDigest ?? new Uint8Array(32),
    };
  });
}

function* bootstrapOf(blob: Source, codecs: RafsCodecs): Flow<Uint8Array | undefined> {
  const found = (yield* wait(readParts(blob))).find(({ name }) => name === parts.bootstrap);
  return found && (yield* readPart(blob, found, codecs));
}

function notRafs(): RafsError {
  return new RafsError(
    'RAFS_BAD_BOOTSTRAP',
    'Cannot open the image: there is no bootstrap of RAFS',
  );
}
