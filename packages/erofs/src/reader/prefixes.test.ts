import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnoleError, flow, memorySource } from '@anole/bytes';
import { builtInDecoders } from '../codecs.ts';
import { DataReader } from './data.ts';
import { Metadata } from './metadata.ts';
import { readLongPrefixes } from './prefixes.ts';
import { Spaces } from './spaces.ts';
import type { ImageInfo } from './superblock.ts';

/** As mkfs.erofs 1.9 lays them out for --xattr-prefix=user.many. and --xattr-prefix=trusted.ov. */
const table = Buffer.concat([
  Buffer.alloc(64),
  Buffer.from([6, 0, 1]),
  Buffer.from('many.'),
  Buffer.from([4, 0, 4]),
  Buffer.from('ov.'),
]);

function read(bytes: Uint8Array, count: number) {
  const info = {
    blockSize: 4096,
    extraDevices: 0,
    xattrPrefixes: { count, offset: 64 },
    xattrPrefixNid: 0n,
  } as ImageInfo;
  const spaces = new Spaces(new Metadata(memorySource(bytes), 1));
  const data = new DataReader(spaces, info, [], {
    devices: [],
    decoders: builtInDecoders,
    decodedCache: 0,
  });
  return flow(() => readLongPrefixes(spaces, data, info));
}

test('long prefixes are a short one and what follows it', () => {
  assert.deepEqual(read(table, 2), ['user.many.', 'trusted.ov.']);
});

test('a table of long prefixes that is damaged is refused', () => {
  const unknown = Buffer.from(table);
  unknown[66] = 99;
  for (const [bytes, count] of [
    [unknown, 1],
    [table, 3],
    [table.subarray(0, 70), 1],
  ] as const) {
    assert.throws(
      () => read(bytes, count),
      (error) => AnoleError.is(error) && error.code.startsWith('EROFS_'),
    );
  }
});
