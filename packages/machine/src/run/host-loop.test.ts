import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { HostLoop } from './host-loop.ts';

describe('a sleep of the host', () => {
  it('lasts until it is woken, however far ahead the guest set its timer', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => void warnings.push(warning);
    process.on('warning', onWarning);
    const loop = new HostLoop();
    let awake = false;
    const sleeping = loop.sleep(2 ** 44).then(() => {
      awake = true;
    });
    await delay(50);
    assert.equal(awake, false);
    loop.wake();
    await sleeping;
    process.off('warning', onWarning);
    assert.deepEqual(warnings, []);
    loop.close();
  });
});
