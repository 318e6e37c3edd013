import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { type LogEvent, Repeats } from './repeats.ts';

function watched(test: TestContext) {
  test.mock.timers.enable({ apis: ['setInterval'] });
  const lines: LogEvent[] = [];
  return { lines, repeats: new Repeats((event) => void lines.push(event)) };
}

describe('repeated events', () => {
  it('are said once, then how often in each minute, until a minute has none', (test) => {
    const { lines, repeats } = watched(test);
    for (let at = 0; at < 14_000; at++) repeats.tell('a', { at });
    assert.deepEqual(lines, [{ at: 0 }]);
    test.mock.timers.tick(60_000);
    assert.deepEqual(lines.splice(0), [{ at: 0 }, { at: 13_999, times: 13_999 }]);
    repeats.tell('a', { at: 1 });
    test.mock.timers.tick(120_000);
    assert.deepEqual(lines.splice(0), [{ at: 1, times: 1 }]);
    repeats.tell('a', { at: 2 });
    assert.deepEqual(lines, [{ at: 2 }]);
  });

  it('are remembered in bounded number, and said at the end', (test) => {
    const { lines, repeats } = watched(test);
    for (let key = 0; key < 1000; key++)
      for (const at of [1, 2]) repeats.tell(`${key}`, { key, at });
    assert.equal(lines.length, 1000 + 1000 - 256);
    repeats[Symbol.dispose]();
    assert.equal(lines.length, 2000);
  });
});
