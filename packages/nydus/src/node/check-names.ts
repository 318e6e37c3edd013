import { createHash } from 'node:crypto';
import type { CallOptions } from '@anole/bytes';
import type { RafsFinding } from '../inspect/check.ts';
import { SELF_ID } from '../layout/blob.ts';
import type { RafsImage } from '../reader/image.ts';

const PIECE = 4 * 1024 * 1024;

/**
 * Whether blobs are what their names say: the SHA-256 of all their bytes, by which registries keep them.
 * Old versions of nydus-image gave others. Missing blobs are passed over.
 */
export async function* checkBlobNames(
  image: RafsImage,
  options: CallOptions = {},
): AsyncGenerator<RafsFinding> {
  for (const blob of image.blobs) {
    const { id } = blob.info;
    if (id === SELF_ID || !/^[0-9a-f]{64}$/.test(id)) continue;
    const source = await attempt(() => blob.data());
    if (source === undefined) continue;
    const hash = createHash('sha256');
    for (let at = 0; at < source.size; at += PIECE) {
      options.signal?.throwIfAborted();
      hash.update(await source.read(at, Math.min(PIECE, source.size - at)));
      options.onProgress?.({ step: 'check names', done: at, total: source.size, unit: 'bytes' });
    }
    const met = hash.digest('hex');
    if (met === id) continue;
    const message = `The blob's SHA-256 is ${met}`;
    yield { severity: 'warning', code: 'RAFS_OTHER_NAME', message, blob: id };
  }
}

async function attempt<T>(work: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch {
    return undefined;
  }
}
