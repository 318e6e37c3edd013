import { pipeline, Readable, type Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import type { Source } from '@anole/bytes';
import { PackageError } from './errors.ts';
import { unxz } from './unxz.ts';

export type Compression = 'none' | 'gzip' | 'xz' | 'zstd';

/** The compressions dpkg writes into packages, by suffix of the member's name. deb(5). */
export function compressionOf(memberName: string): Compression {
  const suffix = memberName.slice(memberName.indexOf('.tar') + 4);
  const known: Record<string, Compression> = {
    '': 'none',
    '.gz': 'gzip',
    '.xz': 'xz',
    '.zst': 'zstd',
  };
  const found = known[suffix];
  if (found !== undefined) return found;
  throw new PackageError(
    'DEB_BAD_COMPRESSION',
    `Cannot unpack ${JSON.stringify(memberName)}: its compression is not supported`,
    { hint: 'Packages compress with gzip, xz or zstd.' },
  );
}

/** Bytes read at once: large enough that calls do not show, small enough to stay in the cache. */
const CHUNK = 256 * 1024;

/** A range of a Source as a stream. Chunks alias the Source's memory where it lends it. */
export async function* streamRange(
  source: Source,
  offset: number,
  size: number,
): AsyncGenerator<Uint8Array> {
  for (let done = 0; done < size; ) {
    const length = Math.min(CHUNK, size - done);
    yield await source.read(offset + done, length);
    done += length;
  }
}

/**
 * Decompresses a stream. Stops reading as soon as the consumer does.
 *
 * @param limit bytes of output at most
 * @throws PackageError `DEB_BAD_COMPRESSION`, `DEB_TOO_LARGE`
 */
export async function* decompress(
  input: AsyncIterable<Uint8Array>,
  compression: Compression,
  limit: number,
): AsyncGenerator<Uint8Array> {
  let total = 0;
  const output = open(input, compression);
  try {
    for await (const chunk of output) {
      total += chunk.length;
      if (total > limit) throw tooLarge(limit);
      yield chunk;
    }
  } catch (error) {
    throw error instanceof PackageError || compression === 'none'
      ? error
      : damaged(compression, error);
  }
}

function open(
  input: AsyncIterable<Uint8Array>,
  compression: Compression,
): AsyncIterable<Uint8Array> {
  switch (compression) {
    case 'none':
      return input;
    case 'gzip':
      return through(input, createGunzip({ chunkSize: CHUNK }));
    case 'zstd':
      return through(input, createZstdDecompress({ chunkSize: CHUNK }));
    case 'xz':
      return unxz(input);
  }
}

function through(
  input: AsyncIterable<Uint8Array>,
  transform: Transform,
): AsyncIterable<Uint8Array> {
  // Errors reach the reader of `transform`, which pipeline destroys with them.
  pipeline(Readable.from(input, { objectMode: false }), transform, () => {});
  return transform;
}

function damaged(compression: Compression, cause: unknown): PackageError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PackageError(
    'DEB_BAD_COMPRESSION',
    `Cannot decompress the package: its ${compression} data is damaged or cut short (${reason})`,
    { cause, hint: 'Fetch the package again.' },
  );
}

function tooLarge(limit: number): PackageError {
  return new PackageError(
    'DEB_TOO_LARGE',
    `Cannot decompress the package: it unpacks to over ${limit} bytes`,
    { details: { limit } },
  );
}
