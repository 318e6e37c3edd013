import type { CallOptions } from '@anole/bytes';
import { SandboxError } from '../errors.ts';

/** Longest file that is taken into memory. */
const most = 2 ** 31;

/** A file at a URL, whole, in memory. */
export async function fetchWhole(url: string, options: CallOptions = {}): Promise<Uint8Array> {
  const { signal, onProgress } = options;
  const response = await fetch(url, signal ? { signal } : {});
  const length = Number(response.headers.get('content-length') ?? 0);
  if (!response.ok || response.body === null || length > most) {
    throw new SandboxError('SANDBOX_BOOT', `Cannot fetch ${url}: ${response.status}`, {
      details: { status: response.status, length },
    });
  }
  let bytes = new Uint8Array(length || 2 ** 20);
  let done = 0;
  for await (const chunk of response.body) {
    if (done + chunk.length > most)
      throw new SandboxError('SANDBOX_BOOT', `Cannot fetch ${url}: it is too long`);
    if (done + chunk.length > bytes.length) bytes = grown(bytes, done + chunk.length);
    bytes.set(chunk, done);
    done += chunk.length;
    onProgress?.({
      step: 'fetch machine',
      done,
      ...(length > 0 && { total: length }),
      unit: 'bytes',
    });
  }
  return bytes.subarray(0, done);
}

function grown(bytes: Uint8Array, least: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.max(least, bytes.length * 2));
  larger.set(bytes);
  return larger;
}
