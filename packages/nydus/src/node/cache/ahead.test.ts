import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { far, temporary } from './blobs.fixture.ts';
import { BlobCache } from './cache.ts';
import { evenChunks } from './chunks.ts';
import { Foresight } from './foresight.ts';
import { FetchQueue, WaitingReaders } from './queue.ts';
import type { RemoteBlob } from './remote-blob.ts';

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
    await queue.room(new AbortController().signal);
    order.push('room');
    await fetched;
    assert.deepEqual(order, ['demand', 'room', 'foreseen']);
    await queue.room(new AbortController().signal);
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
