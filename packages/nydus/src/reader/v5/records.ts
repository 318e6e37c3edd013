import type { Flow } from '@anole/bytes';
import { ChunkRecords } from '../chunk-records.ts';
import type { V5Inodes } from './inodes.ts';

/** The records of all files, as RAFS v6 has them in one table. */
export function* gatherRecords(inodes: V5Inodes, blobs: number): Flow<ChunkRecords> {
  const tables: Uint8Array[] = [];
  for (let number = 1; number <= inodes.count; number++) {
    const { buffer, byteOffset, byteLength } = yield* inodes.chunks(yield* inodes.read(number));
    if (byteLength > 0) tables.push(new Uint8Array(buffer, byteOffset, byteLength));
  }
  const size = tables.reduce((sum, { length }) => sum + length, 0);
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const table of tables) {
    bytes.set(table, at);
    at += table.length;
  }
  return new ChunkRecords(bytes, blobs);
}
