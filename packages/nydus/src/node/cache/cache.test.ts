import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { BlobCache } from './cache.ts';
import { type Chunks, chunksAt, evenChunks } from './chunks.ts';
import { Foresight } from './foresight.ts';
import { FetchQueue, WaitingReaders } from './queue.ts';
import type { RemoteBlob } from './remote-blob.ts';

const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function temporary(test: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'blob-cache-'));
  test.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

interface Far extends RemoteBlob {
  readonly asked: (readonly [number, number])[];
  broken: boolean;
}

function far(
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

/** Blobs whose requests are answered when the test says so. */
class HeldLink {
  readonly #held: { readonly name: string; answer(): void }[] = [];

  /** Who has asked and waits, in that order. */
  get open(): readonly string[] {
    return this.#held.map(({ name }) => name);
  }

  blob(name: string): RemoteBlob {
    const chunks = evenChunks(4 * 1024 * 1024, 4096);
    return {
      id: name,
      chunks,
      fetch: async (first, end) => {
        await new Promise<void>((answer) => this.#held.push({ name, answer }));
        return new Uint8Array(chunks.offsetOf(end) - chunks.offsetOf(first));
      },
      verify: () => true,
    };
  }

  answer(at: number): void {
    this.#held.splice(at, 1)[0]!.answer();
  }

  /** Answers all until something is done. */
  async drain(work: Promise<unknown>): Promise<void> {
    let isDone = false;
    const done = work.finally(() => {
      isDone = true;
    });
    while (!isDone) {
      while (this.#held.length > 0) this.answer(0);
      await settled();
    }
    await done;
  }
}

/** Returns once all has gone on that waits for nothing but its turn. */
const settled = () => new Promise((go) => setImmediate(go));

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

describe('turns for fetches', () => {
  it('are so many at once, in the order they were asked for', async () => {
    const queue = new FetchQueue(2, new WaitingReaders());
    const order: string[] = [];
    let running = 0;
    const work = (name: string) => async () => {
      order.push(name);
      running++;
      assert.ok(running <= 2);
      await sleep(2);
      running--;
    };
    await Promise.all(['1', '2', '3', '4'].map((name) => queue.run('demand', work(name))));
    assert.deepEqual(order, ['1', '2', '3', '4']);
  });

  it('leave room for what is fetched ahead once no reader waits for what was not foreseen', async () => {
    const queue = new FetchQueue(4, new WaitingReaders());
    const order: string[] = [];
    const fetched = Promise.all([
      queue.run('demand', async () => {
        await sleep(5);
        order.push('demand');
      }),
      queue.run('foreseen', async () => {
        await sleep(20);
        order.push('foreseen');
      }),
    ]);
    await queue.room();
    order.push('room');
    await fetched;
    assert.deepEqual(order, ['demand', 'room', 'foreseen']);
    await queue.room();
  });

  it('leave no room ahead of any blob while a reader of another waits', async (test) => {
    const link = new HeldLink();
    const cache = new BlobCache(temporary(test));
    const read = await cache.open(link.blob('read'));
    const others = [await cache.open(link.blob('first')), await cache.open(link.blob('second'))];
    const brought = others.map((each) => each.bringAhead([[0, each.size]]));
    await settled();
    assert.equal(link.open.length, 8, 'four at once of each');
    // Nothing is behind it to be read ahead.
    const bytes = read.read(read.size - 1, 1);
    await settled();
    assert.deepEqual(link.open.slice(8), ['read']);
    for (let each = 0; each < 8; each++) link.answer(0);
    await settled();
    assert.deepEqual(link.open, ['read'], 'what was asked has come, and nothing new is asked');
    link.answer(0);
    await bytes;
    await link.drain(Promise.all(brought));
    assert.ok(others.every((each) => each.isWhole));
    for (const each of [read, ...others]) await each.close();
  });

  it('stop other blobs only, where a reader is ahead of what is foreseen', async (test) => {
    const link = new HeldLink();
    const cache = new BlobCache(temporary(test));
    const read = await cache.open(link.blob('read'));
    const other = await cache.open(link.blob('other'));
    const brought = [read, other].map((each) => each.bringAhead([[0, each.size]]));
    await settled();
    const bytes = read.read(read.size - 1, 1);
    await settled();
    assert.deepEqual(link.open.slice(8), ['read']);
    for (let each = 0; each < 8; each++) link.answer(0);
    await settled();
    assert.deepEqual(link.open, ['read', 'read', 'read', 'read', 'read']);
    await link.drain(Promise.all([...brought, bytes]));
    for (const each of [read, other]) await each.close();
  });

  it('are not held up by what is read to fetch another blob', async (test) => {
    const link = new HeldLink();
    const cache = new BlobCache(temporary(test));
    const hashes = await cache.open({ ...link.blob('hashes'), isInner: true });
    const blob = await cache.open(link.blob('blob'));
    const bytes = hashes.read(0, 1);
    const brought = blob.bringAhead([[0, 1]]);
    await settled();
    assert.ok(link.open.includes('blob'));
    await link.drain(Promise.all([bytes, brought]));
    for (const each of [hashes, blob]) await each.close();
  });
});

describe('what is foreseen', () => {
  it('comes in its order while readers wait for it, in few requests', async (test) => {
    const content = new Uint8Array(randomBytes(256 * 4096));
    const remote = far(content);
    const blob = await new BlobCache(temporary(test)).open(remote);
    const at = (chunk: number) => chunk * 4096;
    await blob.bringAhead([
      [at(200), at(210)],
      [at(3), at(150)],
      [at(205), at(212)],
    ]);
    assert.deepEqual(remote.asked, [
      [200, 212],
      [3, 67],
      [67, 131],
      [131, 150],
    ]);
    assert.ok(blob.holds(at(3), at(147)));
    await blob.close();
  });

  it('is of the blob alone, and each of its chunks once, whatever ranges say', () => {
    const chunks = evenChunks(10 * 4096, 4096);
    const far = 4096 * 2 ** 31;
    const foresight = new Foresight(chunks, [
      [8 * 4096, far],
      [far, far + 1],
      [4096, 4096],
      [5 * 4096, 9 * 4096],
      [0, 4096],
    ]);
    const all = Array.from({ length: 3 }, () => foresight.next(4 * 4096));
    assert.deepEqual(all, [
      [5 * 4096, 9 * 4096],
      [9 * 4096, 10 * 4096],
      [0, 4096],
    ]);
    assert.equal(foresight.next(4096), undefined);
  });

  it('is given up where readers want other things', () => {
    const chunks = evenChunks(1000 * 4096, 4096);
    const foresight = new Foresight(chunks, [[100 * 4096, 1000 * 4096]]);
    for (let chunk = 0; chunk < 60; chunk++) foresight.meet(chunk, false);
    for (let chunk = 60; chunk < 90; chunk++) foresight.meet(chunk, true);
    assert.deepEqual(foresight.next(8192), [100 * 4096, 102 * 4096], 'it is early to tell');
    for (let chunk = 100; chunk < 180; chunk++) assert.ok(foresight.meet(chunk, false));
    assert.deepEqual(foresight.next(8192), [180 * 4096, 182 * 4096], 'most are foreseen');
    for (let chunk = 0; chunk < 60; chunk++) foresight.meet(chunk, false);
    assert.equal(foresight.next(8192), undefined);
  });

  it('is coming until the last that was foreseen has come, where two foresaw something', async (test) => {
    const blob = await new BlobCache(temporary(test)).open(far(new Uint8Array(512 * 4096)));
    const first = blob.bringAhead([[0, 4096]]);
    const second = blob.bringAhead([[0, 512 * 4096]]);
    await first;
    assert.equal(blob.foreseen, 'coming');
    await second;
    assert.equal(blob.foreseen, 'here');
    await blob.close();
  });

  it('ends where fetching fails, and readers are told', async (test) => {
    const remote = far(new Uint8Array(randomBytes(256 * 4096)));
    const blob = await new BlobCache(temporary(test)).open(remote);
    remote.broken = true;
    await blob.bringAhead([[0, 256 * 4096]]);
    assert.ok(remote.asked.length <= 4);
    await assert.rejects(async () => blob.read(0, 1), /the network is down/);
    remote.broken = false;
    assert.equal((await blob.read(0, 1)).length, 1);
    await blob.close();
  });
});
