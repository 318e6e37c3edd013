import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { VirtioRng } from '../virtio-rng/device.ts';
import { TestDriver } from './testing/driver.ts';

describe('a notification of buffers', () => {
  /** A device to which another hart gives one more buffer for each that it fills, up to `most`. */
  function fed(most: number) {
    let filled = 0;
    const driver: TestDriver = new TestDriver(
      new VirtioRng(() => {
        if (++filled < most) driver.post(0, [], [8]);
      }),
    );
    driver.start();
    return { driver, filled: () => filled };
  }

  it('is over after as many as the queue has room for; the rest comes when the host had a turn', async () => {
    const { driver, filled } = fed(1000);
    driver.send(0, [], [8]);
    assert.equal(filled(), 64);
    assert.ok(driver.transport.busy, 'a snapshot would forget that there is more');
    while (driver.transport.busy) await delay(1);
    assert.equal(filled(), 1000);
    assert.equal(driver.used(0).length, 1000);
  });

  it('leaves nothing for later where nothing is left', () => {
    const { driver, filled } = fed(64);
    driver.send(0, [], [8]);
    assert.equal(filled(), 64);
    assert.equal(driver.transport.busy, false);
  });

  it('is forgotten with the driver that gave it', async () => {
    const { driver, filled } = fed(1000);
    driver.send(0, [], [8]);
    driver.start();
    while (driver.transport.busy) await delay(1);
    assert.equal(filled(), 64);
    assert.deepEqual(driver.faults, []);
  });
});
