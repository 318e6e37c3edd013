import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Chunks, evenChunks } from './chunks.ts';
import type { RemoteBlob } from './remote-blob.ts';

export const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

export function temporary(test: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'blob-cache-'));
  test.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export interface Far extends RemoteBlob {
  readonly asked: (readonly [number, number])[];
  broken: boolean;
}

/** A blob that is far away, as it is asked for. */
export function far(
  content: Uint8Array,
  chunks: Chunks = evenChunks(content.length, 4096),
  id = hash(content),
): Far {
  const part = (index: number) =>
    content.subarray(chunks.offsetOf(index), chunks.offsetOf(index + 1));
  const asked: [number, number][] = [];
  return {
    id,
    chunks,
    asked,
    broken: false,
    async fetch(first, end) {
      asked.push([first, end]);
      await sleep(1);
      if (this.broken) throw new Error('the network is down');
      return content.slice(chunks.offsetOf(first), chunks.offsetOf(end));
    },
    verify: (index, bytes) => hash(bytes) === hash(part(index)),
  };
}
