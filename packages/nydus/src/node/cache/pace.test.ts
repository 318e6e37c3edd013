import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { far, temporary } from './blobs.fixture.ts';
import { BlobCache } from './cache.ts';
import { Pace } from './pace.ts';
import type { RemoteBlob } from './remote-blob.ts';

const RUN = 256 * 1024;

/** A link that has a bound, and who waits for it. */
class BoundLink {
  readonly pace = new Pace();
  /** How many waited for whom nobody waits, when a reader came. */
  readonly met: number[] = [];
  #ahead = 0;

  blob(id: string): RemoteBlob {
    const { chunks } = far(new Uint8Array(8 * RUN));
    return {
      id,
      chunks,
      verify: () => true,
      fetch: async (first, end, { signal }) => {
        const length = chunks.offsetOf(end) - chunks.offsetOf(first);
        const isAhead = id !== 'read';
        if (!isAhead) this.met.push(this.#ahead);
        if (isAhead) this.#ahead++;
        await this.pace.turn(length, signal);
        if (isAhead) this.#ahead--;
        return new Uint8Array(length);
      },
    };
  }
}

describe('a link with a bound', () => {
  it('lets readers wait for one piece at most of what is fetched ahead', async (test) => {
    const link = new BoundLink();
    link.pace.rate = 20 * RUN;
    const cache = new BlobCache(temporary(test), link);
    const ahead = [await cache.open(link.blob('first')), await cache.open(link.blob('second'))];
    const read = await cache.open(link.blob('read'));
    const brought = ahead.map((each) => each.bringAhead([[0, each.size]]));
    for (let each = 0; each < 4; each++) await read.read(2 * each * RUN, 1);
    assert.ok(link.met.length >= 4 && link.met.every((waited) => waited <= 1), `${link.met}`);
    assert.ok(ahead.every((each) => !each.isWhole));
    await Promise.all(brought);
    assert.ok(ahead.every((each) => each.isWhole));
    for (const each of [...ahead, read]) await each.close();
  });

  it('lets the next begin where one turns out to need nothing', async () => {
    const pace = new Pace();
    pace.rate = 1;
    const { signal } = new AbortController();
    const first = await pace.room(signal);
    const second = pace.room(signal);
    first[Symbol.dispose]();
    (await second)[Symbol.dispose]();
  });

  it('is not waited for by who gives up', async () => {
    const pace = new Pace();
    pace.rate = 1;
    await pace.turn(3600);
    const giveUp = new AbortController();
    const room = pace.room(giveUp.signal);
    const turn = pace.turn(1, giveUp.signal);
    giveUp.abort();
    await assert.rejects(room, { name: 'AbortError' });
    await assert.rejects(turn, { name: 'AbortError' });
  });

  it('holds for those to come from when it is changed, whatever was asked for before', async () => {
    const pace = new Pace();
    pace.rate = 1;
    await pace.turn(1_000_000_000);
    pace.rate = 1_000_000_000_000;
    await pace.turn(1);
    (await pace.room(AbortSignal.timeout(10_000)))[Symbol.dispose]();
    pace.rate = undefined;
    await pace.turn(1);
  });

  it('may be so small that a piece takes months', async () => {
    const pace = new Pace();
    pace.rate = 1;
    await pace.turn(16 * 1024 * 1024);
    const giveUp = new AbortController();
    const waits = [pace.turn(1, giveUp.signal), pace.room(giveUp.signal)];
    const warned = once(process, 'warning', { signal: giveUp.signal });
    await setImmediate();
    giveUp.abort();
    const all = await Promise.allSettled([...waits, warned]);
    assert.deepEqual(
      all.map(({ status }) => status),
      ['rejected', 'rejected', 'rejected'],
    );
  });
});
