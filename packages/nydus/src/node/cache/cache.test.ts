import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { far, hash, temporary } from './blobs.fixture.ts';
import { BlobCache } from './cache.ts';
import { chunksAt } from './chunks.ts';

/** The one directory of a cache with one blob. */
function onlyBlob(directory: string): string {
  const [name] = readdirSync(join(directory, 'blobs'));
  return join(directory, 'blobs', name!);
}

const noDisk = process.geteuid?.() === 0 ? false : 'needs root, for a disk of its own';

/** A disk of so many bytes that goes at the end of the test, and may become another size. */
function smallDisk(test: TestContext, size: string) {
  const directory = temporary(test);
  const mount = (options: string) =>
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', directory]);
  mount(`size=${size}`);
  return {
    directory,
    resize: (to: string) => mount(`remount,size=${to}`),
    [Symbol.dispose]: () => execFileSync('umount', ['--lazy', directory]),
  };
}

describe('a cached blob', () => {
  it('gives what the blob has, whatever the ranges and the chunks', async (test) => {
    const cache = new BlobCache(temporary(test));
    const content = new Uint8Array(randomBytes(100_000));
    const starts = fc.uniqueArray(fc.integer({ min: 1, max: 99_999 }), { maxLength: 40 });
    const ranges = fc.array(fc.tuple(fc.nat(100_000), fc.nat(60_000)), { maxLength: 6 });
    let turn = 0;
    await fc.assert(
      fc.asyncProperty(starts, ranges, async (inner, wanted) => {
        const offsets = Float64Array.from([0, ...inner]).sort();
        const blob = await cache.open(far(content, chunksAt(offsets, 100_000), String(turn++)));
        const reads = wanted.map(async ([offset, most]) => {
          const length = Math.min(most, 100_000 - offset);
          const bytes = await blob.read(offset, length);
          assert.equal(hash(bytes), hash(content.subarray(offset, offset + length)));
        });
        await Promise.all(reads);
        await blob.close();
      }),
      { numRuns: 40, seed: 7 },
    );
  });

  it('is fetched once, also by readers at the same time and after a restart', async (test) => {
    const cache = new BlobCache(temporary(test));
    const remote = far(new Uint8Array(randomBytes(64 * 4096)));
    const blob = await cache.open(remote);
    await Promise.all([blob.read(0, 8192), blob.read(4096, 4096), blob.read(100, 12_000)]);
    const times = new Map<number, number>();
    for (const [first, end] of remote.asked) {
      for (let chunk = first; chunk < end; chunk++) times.set(chunk, (times.get(chunk) ?? 0) + 1);
    }
    assert.deepEqual([...new Set(times.values())], [1], 'no chunk came twice');
    const { length } = remote.asked;
    assert.ok(blob.read(0, 12_288) instanceof Uint8Array, 'what is here is answered at once');
    await blob.close();
    const again = await cache.open(remote);
    await again.read(0, 12_288);
    assert.equal(remote.asked.length, length);
    await again.read(0, again.size);
    assert.equal(again.isWhole, true);
    await again.close();
  });

  it('is proven before use: a map that promises too much and bytes that rot do no harm', async (test) => {
    const directory = temporary(test);
    const cache = new BlobCache(directory);
    const content = new Uint8Array(randomBytes(16 * 4096));
    const remote = far(content);
    const open = async () => {
      const blob = await cache.open(remote);
      const bytes = await blob.read(0, blob.size);
      assert.equal(hash(bytes), hash(content));
      await blob.close();
      return blob.counters;
    };
    await open();
    const data = join(onlyBlob(directory), 'data');
    // As after a power cut: the map reached the disk, the data did not.
    truncateSync(data, 0);
    assert.equal((await open()).damaged, 16);
    const fd = openSync(data, 'r+');
    writeSync(fd, Uint8Array.of(content[5000]! ^ 1), 0, 1, 5000);
    closeSync(fd);
    const counters = await open();
    assert.deepEqual([counters.damaged, counters.fetched], [1, 4096]);
    writeFileSync(join(onlyBlob(directory), 'map'), 'nonsense');
    assert.equal((await open()).fetched, content.length);
  });

  it('takes what another process has put in the meantime', async (test) => {
    const directory = temporary(test);
    const content = new Uint8Array(randomBytes(16 * 4096));
    const [one, two] = [far(content), far(content)];
    const first = await new BlobCache(directory).open(one);
    const second = await new BlobCache(directory).open(two);
    await first.read(0, content.length);
    assert.equal(hash(await second.read(0, content.length)), hash(content));
    assert.deepEqual(two.asked, []);
    await first.close();
    await second.close();
  });

  it('is read from memory where the disk is full, and goes there when there is room', {
    skip: noDisk,
  }, async (test) => {
    using disk = smallDisk(test, '160k');
    const content = new Uint8Array(randomBytes(48 * 4096));
    const blob = await new BlobCache(disk.directory).open(far(content));
    assert.equal(hash(await blob.read(0, blob.size)), hash(content));
    assert.ok(blob.counters.unstored > 0);
    assert.equal(blob.holds(0, blob.size), false);
    assert.equal(hash(await blob.read(0, blob.size)), hash(content));
    disk.resize('1m');
    await blob.ensure(0, blob.size);
    assert.equal(blob.holds(0, blob.size), true);
    assert.equal(hash(readFileSync(blob.path)), hash(content));
    await blob.close();
  });

  it('is wholly in its file once there is room, also what memory has let go of', {
    skip: noDisk,
  }, async (test) => {
    using disk = smallDisk(test, '160k');
    const blob = await new BlobCache(disk.directory).open(
      far(new Uint8Array(randomBytes(200 * 4096))),
    );
    await blob.ensure(0, blob.size);
    assert.ok(blob.counters.unstored > 64);
    assert.equal(await blob.settle(), false);
    disk.resize('4m');
    assert.equal(await blob.settle(), true);
    assert.ok(blob.holds(0, blob.size));
    await blob.close();
  });

  it('raises what went wrong, and works again when it works again', async (test) => {
    const cache = new BlobCache(temporary(test));
    const content = new Uint8Array(randomBytes(16 * 4096));
    const remote = far(content);
    const blob = await cache.open(remote);
    remote.broken = true;
    await assert.rejects(async () => blob.read(0, 10), /the network is down/);
    remote.broken = false;
    assert.equal(hash(await blob.read(0, 10)), hash(content.subarray(0, 10)));
    const wait = AbortSignal.timeout(0);
    await sleep(5);
    await assert.rejects(async () => blob.read(50_000, 10, { signal: wait }), {
      name: 'TimeoutError',
    });
    await blob.close();
  });
});

describe('a cache', () => {
  it('makes room among what nobody uses, the longest unused first', async (test) => {
    const directory = temporary(test);
    const cache = new BlobCache(directory);
    const contents = [0, 1, 2].map(() => new Uint8Array(randomBytes(64 * 4096)));
    const blobs = [];
    for (const content of contents) {
      const blob = await cache.open(far(content));
      await blob.read(0, blob.size);
      blobs.push(blob);
      // The clock of file systems has steps.
      await sleep(20);
    }
    assert.deepEqual(
      (await cache.list()).map(({ id, inUse }) => [id, inUse]),
      contents.map((content) => [hash(content), true]),
    );
    assert.deepEqual((await cache.evict(0)).blobs, [], 'what is in use stays');
    await blobs[0]!.close();
    await sleep(20);
    await blobs[2]!.close();
    const { blobs: gone, left } = await cache.evict(2 * 300_000);
    assert.deepEqual(gone, [hash(contents[0]!)]);
    assert.ok(left <= 600_000);
    const bounded = new BlobCache(directory, { quota: 300_000 });
    const last = await bounded.open(far(contents[0]!));
    assert.deepEqual(
      (await cache.list()).map(({ id }) => id).sort(),
      [hash(contents[0]!), hash(contents[1]!)].sort(),
    );
    await last.close();
    await blobs[1]!.close();
  });

  it('keeps to its quota when blobs are closed', async (test) => {
    const directory = temporary(test);
    const cache = new BlobCache(directory, { quota: 200_000 });
    const blob = await cache.open(far(new Uint8Array(randomBytes(64 * 4096))));
    await blob.read(0, blob.size);
    assert.equal((await cache.list()).length, 1, 'what is in use stays');
    await blob.close();
    assert.deepEqual(await cache.list(), []);
  });

  it('keeps to its quota while blobs grow', async (test) => {
    const cache = new BlobCache(temporary(test), { quota: 400_000 });
    const [one, two] = [0, 1].map(() => new Uint8Array(randomBytes(64 * 4096)));
    const first = await cache.open(far(one!));
    await first.read(0, first.size);
    await first.close();
    const second = await cache.open(far(two!));
    assert.equal((await cache.list()).length, 2);
    await second.read(0, second.size);
    while ((await cache.list()).length > 1) await sleep(20);
    assert.equal((await cache.list())[0]!.id, second.id);
    await second.close();
  });

  it('knows when a blob was used last, not only when that began', async (test) => {
    const cache = new BlobCache(temporary(test));
    const contents = [0, 1].map(() => new Uint8Array(randomBytes(64 * 4096)));
    const first = await cache.open(far(contents[0]!));
    await sleep(20);
    const second = await cache.open(far(contents[1]!));
    for (const blob of [first, second]) await blob.read(0, blob.size);
    await second.close();
    await sleep(20);
    await first.close();
    assert.deepEqual((await cache.evict(300_000)).blobs, [second.id]);
  });

  it('lets go of all that is of one content, or of nothing of it', async (test) => {
    const cache = new BlobCache(temporary(test));
    const bytes = new Uint8Array(randomBytes(16 * 4096));
    const open = async (id: string) => {
      const blob = await cache.open(far(bytes, undefined, id));
      await blob.read(0, blob.size);
      await sleep(5);
      return blob;
    };
    const [data, other, hashes] = [
      await open('sha256:a 4096'),
      await open('sha256:b 4096'),
      await open('sha256:a hashes'),
    ];
    await data.close();
    await other.close();
    assert.deepEqual((await cache.evict(140_000)).blobs, [other.id]);
    await hashes.close();
    assert.deepEqual((await cache.evict(100_000)).blobs.toSorted(), [data.id, hashes.id]);
  });

  it('frees a disk that is full of what nobody uses', { skip: noDisk }, async (test) => {
    using disk = smallDisk(test, '480k');
    const cache = new BlobCache(disk.directory);
    const contents = [0, 1].map(() => new Uint8Array(randomBytes(64 * 4096)));
    for (const content of contents) {
      const blob = await cache.open(far(content));
      assert.equal(hash(await blob.read(0, blob.size)), hash(content));
      assert.equal(blob.counters.unstored, 0);
      assert.ok(blob.isProven);
      await blob.close();
    }
    assert.deepEqual(
      (await cache.list()).map(({ id }) => id),
      [hash(contents[1]!)],
    );
  });

  it('keeps files sparse', async (test) => {
    const directory = temporary(test);
    const blob = await new BlobCache(directory).open(far(new Uint8Array(4 << 20)));
    await blob.read(1 << 20, 4096);
    const { size, blocks } = statSync(blob.path);
    assert.equal(size, 4 << 20);
    assert.ok(blocks * 512 <= 65_536, `${blocks} blocks`);
    await blob.close();
    assert.equal(readFileSync(join(onlyBlob(directory), 'map')).length, 1024);
  });
});
