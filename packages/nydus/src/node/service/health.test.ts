import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import type { Descriptor } from '@anole/oci';
import type { ImageBlobs } from '../on-demand/image.ts';
import { BackEnds } from './back-ends.ts';
import { troubles } from './health.ts';

test('a back end fails since its first failure, until it answers', async (test) => {
  test.mock.timers.enable({ apis: ['Date'], now: 0 });
  const far = { isAway: true };
  const read = async () => {
    if (far.isAway) throw new Error('away');
    return new Uint8Array(1);
  };
  const backEnds = new BackEnds();
  const blobs: ImageBlobs = { source: () => ({ size: 1, read }) };
  const blob: Descriptor = {
    mediaType: 'application/octet-stream',
    digest: `sha256:${'0'.repeat(64)}`,
    size: 1,
  };
  const source = backEnds.blobs('registry', blobs).source(blob);
  const ask = async (seconds: number) => {
    test.mock.timers.setTime(1000 * seconds);
    await Promise.resolve(source.read(0, 1)).catch(() => undefined);
    const found = await troubles(tmpdir(), backEnds.figures);
    return found.filter((line) => line.startsWith('back end'));
  };
  const since = (seconds: number) =>
    `back end registry fails since ${new Date(1000 * seconds).toISOString()}: Error: away`;
  assert.deepEqual(await ask(1), [since(1)]);
  assert.deepEqual(await ask(2), [since(1)]);
  far.isAway = false;
  assert.deepEqual(await ask(3), []);
  far.isAway = true;
  assert.deepEqual(await ask(4), [since(4)]);
});
