import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { type GzipIndex, GzipIndexer, gzipSpans, type Span } from '@anole/bytes';
import { hostGunzip, hostInflate } from './inflate.ts';

/** Bytes of which some parts compress well, some little, some not. */
function mixed(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let state = 1;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    const kind = (at >> 14) % 4;
    bytes[at] = kind === 0 ? state >>> 24 : kind === 1 ? (state >>> 24) & 15 : (at >> kind) & 255;
  }
  return bytes;
}

function indexOf(stored: Uint8Array, span: number): GzipIndex {
  const indexer = new GzipIndexer({ span });
  for (const _ of indexer.decode(stored));
  return indexer.finish();
}

const partOf = (stored: Uint8Array, { start, end }: Span) => stored.subarray(start, end);

test('deflate streams are decoded from any block on, at whichever bit it begins', () => {
  const bytes = mixed(4_000_000);
  const met = new Set<number>();
  for (const [level, strategy] of [
    [1, 0],
    [6, 0],
    [9, 0],
    [6, 4],
    [0, 0],
  ] as const) {
    const stored = gzipSync(bytes, { level, strategy, memLevel: 2 });
    const index = indexOf(stored, 10_000);
    const spans = gzipSpans(index);
    for (const [number, { bits, window, out }] of index.checkpoints.entries()) {
      const end = index.checkpoints[number + 1]?.out ?? bytes.length;
      const part = partOf(stored, spans.at(number));
      const decoded = hostInflate({ bits, window }, part, end - out);
      assert.ok(decoded && Buffer.compare(decoded, bytes.subarray(out, end)) === 0, `${out}`);
      met.add(bits);
      assert.equal(hostInflate({ bits, window }, part, end - out + 1), undefined);
      assert.equal(hostInflate({ bits, window }, part.subarray(0, 10), end - out), undefined);
    }
  }
  assert.deepEqual([...met].sort(), [0, 1, 2, 3, 4, 5, 6, 7]);
});

test('what zlib does not decode to exactly the bytes that are wanted is left to others', () => {
  const bytes = mixed(100_000);
  const stored = gzipSync(bytes);
  assert.deepEqual(new Uint8Array(hostGunzip(stored, bytes.length)!), bytes);
  const twice = Buffer.concat([stored, stored]);
  for (const most of [bytes.length, 1e6])
    assert.equal(hostGunzip(twice, most)?.length, bytes.length);
  const named = [
    0x1f,
    0x8b,
    8,
    4 + 8 + 16 + 2,
    0,
    0,
    0,
    0,
    0,
    3,
    3,
    0,
    1,
    2,
    3,
    65,
    0,
    66,
    66,
    0,
    9,
    9,
  ];
  const long = Buffer.concat([Uint8Array.from(named), stored.subarray(10)]);
  assert.deepEqual(new Uint8Array(hostGunzip(long, bytes.length)!), bytes);
  for (let length = 0; length <= named.length; length++) {
    assert.equal(hostGunzip(long.subarray(0, length), bytes.length), undefined);
  }
  assert.equal(hostGunzip(stored, bytes.length - 1), undefined);
  assert.equal(hostGunzip(stored.subarray(0, 500), bytes.length), undefined);
  assert.equal(hostGunzip(bytes, bytes.length), undefined);
  const raw = deflateRawSync(bytes);
  const from = { bits: 0, window: new Uint8Array(0) };
  assert.equal(hostInflate(from, raw, bytes.length - 1), undefined);
  assert.equal(hostInflate(from, bytes, bytes.length), undefined);
});
