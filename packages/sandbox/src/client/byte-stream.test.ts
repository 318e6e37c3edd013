import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteStream, collect } from './byte-stream.ts';

function stream() {
  const granted: number[] = [];
  return { granted, bytes: new ByteStream((count) => granted.push(count)) };
}

test('bytes come in order, those pushed before and those pushed while a reader waits', async () => {
  const { bytes } = stream();
  bytes.push(Uint8Array.of(1));
  const all = collect(bytes);
  bytes.push(Uint8Array.of(2, 3));
  bytes.end();
  assert.deepEqual([...(await all)], [1, 2, 3]);
});

test('what was read is granted again, in steps of 64 KiB', async () => {
  const { granted, bytes } = stream();
  for (let count = 0; count < 3; count++) bytes.push(new Uint8Array(40_000));
  await bytes.next();
  assert.deepEqual(granted, []);
  await bytes.next();
  assert.deepEqual(granted, [80_000]);
});

test('a reader that leaves lets the writer go on', async () => {
  const { granted, bytes } = stream();
  bytes.push(new Uint8Array(10));
  for await (const _ of bytes) break;
  bytes.push(new Uint8Array(5));
  assert.deepEqual(granted, [10, 5]);
  assert.equal((await bytes.next()).done, true);
});

test('an error comes after what was queued, and once', async () => {
  const { bytes } = stream();
  bytes.push(Uint8Array.of(1));
  bytes.fail(new Error('gone'));
  assert.equal((await bytes.next()).done, false);
  await assert.rejects(() => bytes.next(), /gone/);
  assert.equal((await bytes.next()).done, true);
});

test('an error reaches a reader that waits', async () => {
  const { bytes } = stream();
  const waiting = bytes.next();
  bytes.fail(new Error('gone'));
  await assert.rejects(waiting, /gone/);
});
