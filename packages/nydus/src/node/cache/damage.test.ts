import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { BlobCache } from './cache.ts';
import { chunksAt } from './chunks.ts';
import type { RemoteBlob } from './remote-blob.ts';
import { Scrub, scrubPart } from './scrub.ts';
import { Sums } from './sums.ts';
import type { DamagedPlace } from './surroundings.ts';

const SIZE = 100_000;
const OFFSETS = Float64Array.of(0, 5000, 20_000, 20_001, 50_000);
const chunks = chunksAt(OFFSETS, SIZE);

/** A blob, all of which is in the file, and what it tells of it. */
async function whole(test: TestContext, hasDigests: boolean) {
  const directory = mkdtempSync(join(tmpdir(), 'damage-'));
  const damaged: DamagedPlace[] = [];
  const unhealed: string[] = [];
  const cache = new BlobCache(directory, {
    onDamaged: (place) => void damaged.push(place),
    onUnhealed: (_place, error) => void unhealed.push(String(error)),
  });
  const content = new Uint8Array(randomBytes(SIZE));
  const far = { isAway: false, fetches: 0 };
  const remote: RemoteBlob = {
    id: 'blob',
    chunks,
    async fetch(first, end) {
      if (far.isAway) throw new Error('the network is down');
      far.fetches++;
      return content.slice(chunks.offsetOf(first), chunks.offsetOf(end));
    },
    ...(hasDigests && {
      verify: (index: number, bytes: Uint8Array) =>
        Buffer.from(bytes).equals(
          content.subarray(chunks.offsetOf(index), chunks.offsetOf(index + 1)),
        ),
    }),
  };
  const blob = await cache.open(remote);
  test.after(async () => {
    await blob.close();
    rmSync(directory, { recursive: true });
  });
  await blob.read(0, SIZE);
  far.fetches = 0;
  const flip = (at: number) => {
    const fd = openSync(blob.path, 'r+');
    writeSync(fd, Uint8Array.of(content[at]! ^ 1), 0, 1, at);
    closeSync(fd);
  };
  const check = async (offset: number, length: number) =>
    assert.deepEqual(
      Buffer.from(await blob.read(offset, length)),
      Buffer.from(content.subarray(offset, offset + length)),
    );
  return { blob, content, far, damaged, unhealed, flip, check };
}

describe('bytes that change in the file while it is open', () => {
  for (const hasDigests of [true, false]) {
    const kind = hasDigests ? 'with digests' : 'without';
    it(`are never given to readers, and come again, of a blob ${kind}`, async (test) => {
      const { blob, far, damaged, flip, check } = await whole(test, hasDigests);
      flip(21_000);
      await check(30_000, 10);
      assert.deepEqual(damaged, [], 'who reads something else needs nothing of it');
      await check(20_990, 100);
      assert.deepEqual(damaged, [{ blob: 'blob', offset: 20_001, length: 29_999 }]);
      flip(0);
      flip(SIZE - 1);
      await check(0, SIZE);
      assert.deepEqual([blob.counters.damaged, far.fetches], [3, 3]);
      truncateSync(blob.path, 30_000);
      await check(1000, SIZE - 1000);
      assert.equal(blob.counters.damaged, 5);
      assert.equal(blob.isProven, true);
    });
  }

  it('are an error while they cannot come again, and are not there for anybody', async (test) => {
    const { blob, far, damaged, unhealed, flip, check } = await whole(test, true);
    far.isAway = true;
    flip(6000);
    for (let turn = 0; turn < 2; turn++) {
      await assert.rejects(async () => blob.read(5990, 20), /the network is down/);
    }
    assert.equal(damaged.length, 1);
    assert.match(unhealed[0]!, /the network is down/);
    assert.equal(blob.has(6000, 1), false);
    await check(20_000, 1000);
    far.isAway = false;
    await check(0, SIZE);
  });

  it('are found without readers', async (test) => {
    const { blob, content, far, damaged, flip } = await whole(test, true);
    assert.equal(blob.isChanged, false);
    flip(70_000);
    assert.equal(blob.isChanged, true);
    blob.looking();
    await scrubPart(blob, 0, 66_000);
    assert.equal(damaged.length, 0);
    far.isAway = true;
    await scrubPart(blob, 65_536, 10_000);
    assert.equal(damaged.length, 1);
    assert.equal(blob.isProven, false);
    far.isAway = false;
    await blob.ensure(70_000, 1);
    assert.equal(blob.isChanged, false, 'what it writes itself is no change');
    assert.deepEqual(Buffer.from(await blob.read(0, SIZE)), Buffer.from(content));
    assert.equal(damaged.length, 1);
  });

  it('are looked for in turn, first where others changed something', async (test) => {
    const others = await Promise.all([whole(test, true), whole(test, true)]);
    const { blob, damaged, flip } = await whole(test, true);
    const blobs = [...others.map((each) => each.blob), blob];
    await using _scrub = new Scrub(() => blobs, 1);
    // Two turns of the same blob: what changes after a look is looked at again.
    for (const at of [70_000, 0]) {
      const before = damaged.length;
      flip(at);
      while (damaged.length === before) await sleep(5);
    }
    assert.deepEqual(
      damaged.map(({ offset }) => offset),
      [50_000, 0],
    );
    assert.ok(others.every((each) => each.damaged.length === 0));
  });
});

describe('sums of chunks', () => {
  it('find each byte that is another, in its chunk, whatever the chunks and the range', () => {
    const inner = fc.uniqueArray(fc.integer({ min: 1, max: 29_999 }), { maxLength: 12 });
    fc.assert(
      fc.property(inner, fc.nat(29_999), fc.nat(29_999), fc.nat(29_999), (starts, from, to, at) => {
        const cut = chunksAt(Float64Array.from([0, ...starts]).sort(), 30_000);
        const bytes = Uint8Array.from({ length: 30_000 }, (_, each) => (each * 7919) >> 3);
        const sums = new Sums(cut);
        for (let index = 0; index < cut.count; index++) {
          sums.put(index, index + 1, bytes.slice(cut.offsetOf(index), cut.offsetOf(index + 1)));
        }
        const offset = Math.min(from, to);
        const [start, end] = sums.around(offset, Math.abs(to - from) + 1);
        assert.ok(start <= offset && end > Math.max(from, to));
        assert.deepEqual(sums.wrongIn(start, bytes.subarray(start, end)), []);
        bytes[at]! ^= 1;
        const expected = at >= start && at < end ? [cut.indexAt(at)] : [];
        assert.deepEqual(sums.wrongIn(start, bytes.subarray(start, end)), expected);
      }),
      { numRuns: 200, seed: 5 },
    );
  });
});
