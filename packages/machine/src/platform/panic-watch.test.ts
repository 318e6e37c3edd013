import assert from 'node:assert/strict';
import { it } from 'node:test';
import { PanicWatch } from './panic-watch.ts';

it('the reason of a panic is found in whatever pieces the console sends it', () => {
  const text = '[    1.0] hello\r\n[    2.5] Kernel panic - not syncing: VFS: no root\r\nmore\n';
  for (const size of [1, 7, 1000]) {
    const watch = new PanicWatch();
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length; at += size) watch.feed(bytes.subarray(at, at + size));
    assert.equal(watch.message, 'VFS: no root');
  }
});

it('a console without a panic has none, and long lines are not kept', () => {
  const watch = new PanicWatch();
  const line = new Uint8Array(100_000).fill(0x41);
  for (let i = 0; i < 50; i++) watch.feed(line);
  assert.equal(watch.message, undefined);
});
