import { open } from 'node:fs/promises';
import type { Source } from '@anole/bytes';
import { hostError, systemCode } from '@anole/host';
import type { BlobOptions } from '../content.ts';
import { OciError } from '../errors.ts';

/** Bytes read at once. */
const CHUNK = 512 * 1024;

/** A file's bytes from an offset, in chunks of their own memory. */
export async function* readFileRange(
  path: string,
  { start = 0, signal }: BlobOptions = {},
): AsyncGenerator<Uint8Array> {
  try {
    await using file = await open(path);
    for (let at = start; ; ) {
      signal?.throwIfAborted();
      const { bytesRead, buffer } = await file.read(new Uint8Array(CHUNK), 0, CHUNK, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw hostError(error, `read ${path}`);
    throw new OciError('OCI_NOT_FOUND', `Cannot find ${path}: the image is not complete`);
  }
}

/** A Source's bytes from an offset, in chunks of their own memory. */
export async function* readSourceRange(
  source: Source,
  { start = 0, signal }: BlobOptions = {},
): AsyncGenerator<Uint8Array> {
  for (let at = start; at < source.size; at += CHUNK) {
    signal?.throwIfAborted();
    const bytes = await source.read(at, Math.min(CHUNK, source.size - at));
    yield bytes.slice();
  }
}
