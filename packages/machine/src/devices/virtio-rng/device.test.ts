import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TestDriver } from '../virtio/testing/driver.ts';
import { VirtioRng } from './device.ts';

describe('the entropy device', () => {
  it('fills buffers from the function it was given', () => {
    const driver = new TestDriver(new VirtioRng((bytes) => bytes.fill(7))).start();
    driver.send(0, [], [3, 5]);
    assert.deepEqual([...driver.used(0)[0]!.bytes], [7, 7, 7, 7, 7, 7, 7, 7]);
  });

  it('gives random bytes by default', () => {
    const driver = new TestDriver(new VirtioRng()).start();
    driver.send(0, [], [64]);
    driver.send(0, [], [64]);
    const [first, second] = driver.used(0);
    assert.notDeepEqual(first!.bytes, second!.bytes);
  });

  it('gives at most 64 KiB at once', () => {
    const driver = new TestDriver(new VirtioRng()).start();
    driver.send(0, [], [100_000]);
    assert.equal(driver.used(0)[0]!.written, 65_536);
  });
});
