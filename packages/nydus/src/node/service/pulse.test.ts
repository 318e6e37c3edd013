import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Pulse } from './pulse.ts';

/** A process that is looked at once for each `step`, and does what is said of it then. */
function watched(test: TestContext) {
  test.mock.timers.enable({ apis: ['setInterval'] });
  const seen = { asked: 0, hangs: 0 };
  const activity = { isRunnable: false, used: 0 };
  const pulse = new Pulse({
    ask: () => seen.asked++,
    activity: () => ({ ...activity }),
    onHang: () => seen.hangs++,
  });
  const step = (times: number, { answers = false, uses = 0, isRunnable = false } = {}) => {
    for (let turn = 0; turn < times; turn++) {
      activity.used += uses;
      activity.isRunnable = isRunnable;
      test.mock.timers.tick(1000);
      if (answers) pulse.answered();
    }
  };
  return { seen, step, pulse };
}

describe('the pulse of a service', () => {
  it('goes on as long as it answers, however little it does', (test) => {
    const { seen, step } = watched(test);
    step(500, { answers: true });
    assert.deepEqual(seen, { asked: 500, hangs: 0 });
  });

  it('has ended where it does nothing and answers no more, and that is said once', (test) => {
    const { seen, step } = watched(test);
    step(20, { answers: true });
    step(10);
    assert.equal(seen.hangs, 0);
    step(1);
    assert.equal(seen.hangs, 1);
    step(300);
    assert.equal(seen.hangs, 1);
  });

  it('may be silent for longer while it computes, or waits for a processor, but not for ever', (test) => {
    const { seen, step } = watched(test);
    step(60, { uses: 900 });
    step(60, { isRunnable: true });
    assert.equal(seen.hangs, 0);
    step(1, { uses: 900 });
    assert.equal(seen.hangs, 1);
  });

  it('forgets a silence that has ended', (test) => {
    const { seen, step } = watched(test);
    for (let turn = 0; turn < 5; turn++) {
      step(9);
      step(1, { answers: true });
    }
    assert.equal(seen.hangs, 0);
  });

  it('is not looked for any more once it was stopped', (test) => {
    const { seen, step, pulse } = watched(test);
    pulse.stop();
    step(300);
    assert.deepEqual(seen, { asked: 0, hangs: 0 });
  });
});
