import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import type { OnDemandImage } from '../on-demand/image.ts';
import { CalmedReads } from './calmed-reads.ts';

const SECOND = 1000;

/** Calms a mount that is not there, of an image of which something new has come at each look. */
function calmed(test: TestContext, foreseen: 'coming' | 'here'): CalmedReads {
  test.mock.timers.enable({ apis: ['setInterval'] });
  let fetches = 0;
  const blob = {
    foreseen,
    coming: 1,
    get counters() {
      return { fetches: fetches++ };
    },
  };
  const image = { blobs: [blob] } as unknown as OnDemandImage;
  return CalmedReads.resume({ device: 'none', kilobytes: '128' }, image);
}

it('reads are calmed while what was foreseen comes, but not for as long as it may take', (test) => {
  const reads = calmed(test, 'coming');
  test.mock.timers.tick(12 * SECOND);
  assert.notEqual(reads.readAhead, undefined);
  test.mock.timers.tick(8 * SECOND);
  assert.equal(reads.readAhead, undefined, 'nobody is to undo it again');
});

it('reads are calmed for some time once what was foreseen is here', (test) => {
  const reads = calmed(test, 'here');
  test.mock.timers.tick(4 * SECOND);
  assert.notEqual(reads.readAhead, undefined);
  test.mock.timers.tick(4 * SECOND);
  assert.equal(reads.readAhead, undefined);
});
