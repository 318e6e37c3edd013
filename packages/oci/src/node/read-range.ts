import { open } from 'node:fs/promises';
import type { Source } from '@anole/bytes';
import { hostError, systemCode } from '@anole/host';
import type { BlobOptions } from '../content.ts';
import { OciError } from '../errors.ts';

/** Bytes read at once. */
const CHUNK = 512 * 1024;

/** A file's bytes of a range, in chunks of their own memory unless they are lent. */
export async function* readFileRange(
  path: string,
  { start = 0, end = Number.POSITIVE_INFINITY, signal, lent = false }: BlobOptions = {},
): AsyncGenerator<Uint8Array> {
  try {
    await using file = await open(path);
    let memory: Uint8Array | undefined;
    for (let at = start; at < end; ) {
      signal?.throwIfAborted();
      const length = Math.min(CHUNK, end - at);
      const chunk = memory ?? Buffer.allocUnsafeSlow(length);
      if (lent) memory = chunk;
      const { bytesRead } = await file.read(chunk, 0, Math.min(length, chunk.length), at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield chunk.subarray(0, bytesRead);
    }
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw hostError(error, `read ${path}`);
    throw new OciError('OCI_NOT_FOUND', `Cannot find ${path}: the image is not complete`);
  }
}

/** A Source's bytes of a range, in chunks of their own memory. */
export async function* readSourceRange(
  source: Source,
  { start = 0, end = source.size, signal }: BlobOptions = {},
): AsyncGenerator<Uint8Array> {
  const last = Math.min(end, source.size);
  for (let at = start; at < last; at += CHUNK) {
    signal?.throwIfAborted();
    const bytes = await source.read(at, Math.min(CHUNK, last - at));
    yield bytes.slice();
  }
}
