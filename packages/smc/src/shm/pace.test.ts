import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Pace } from './pace.ts';

/** Two ends that answer each other as soon as they know of a message; times in microseconds. */
class Talk {
  readonly ends = [new Pace(), new Pace()];
  now = 1_000_000;
  /** Messages that who polled found. */
  found = 0;
  /** Whether the end that is to answer polls, and since when it has waited. */
  #polls = [false, false];

  /** @param wake how long waking takes @param work how long an answer takes */
  exchange(rounds: number, wake: number, work: number): void {
    for (let round = 0; round < rounds; round++) {
      for (const [from, to] of [
        [0, 1],
        [1, 0],
      ] as const) {
        this.now += work;
        this.#wait(from);
        this.#tell(to, wake);
      }
    }
  }

  /** An end has sent, and begins to wait. */
  #wait(end: number): void {
    const pace = this.ends[end]!;
    this.#polls[end] = this.#polls[end] || pace.isPollingWorth();
    pace.restart(this.now / 1000);
  }

  #tell(end: number, wake: number): void {
    const pace = this.ends[end]!;
    const { since } = pace;
    const polls = this.#polls[end]! && pace.isPatient(this.now / 1000, false);
    if (!polls) {
      if (this.#polls[end]) pace.missNews();
      this.now += wake;
      if (this.#polls[1 - end]) pace.invite();
    }
    pace.learn(pace.meetNews(this.now / 1000), true);
    this.#polls[end] = polls;
    if (!polls) return;
    pace.foundNews(since);
    this.found++;
  }
}

describe('when a link polls', () => {
  for (const wake of [10, 60, 120]) {
    it(`two ends that answer at once come to poll where waking takes ${wake} microseconds`, () => {
      const talk = new Talk();
      talk.exchange(3000, wake, 3);
      const before = talk.found;
      talk.exchange(100, wake, 3);
      assert.equal(talk.found - before, 200);
    });
  }

  it('ends that have news each millisecond sleep in between', () => {
    const talk = new Talk();
    talk.exchange(100, 60, 1000);
    const before = talk.found;
    talk.exchange(3000, 60, 1000);
    assert.equal(talk.found, before);
  });
});
