import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GUEST_PAGE } from '../../hart/guest-memory.ts';
import type { DescriptorChain } from './chain.ts';
import { gather, scatter } from './chain.ts';
import type { VirtioDevice, VirtioHost } from './device.ts';
import * as R from './registers.ts';
import { type DriverOptions, TestDriver } from './testing/driver.ts';

/** Answers each chain with its own bytes, reversed. */
class Echo implements VirtioDevice {
  readonly type = 42;
  readonly classCode = 0x00ff00;
  readonly features = [7];
  readonly queueSizes = [8, 8];
  readonly config = Uint8Array.of(1, 2, 3, 4, 5);
  readonly state = {};
  host!: VirtioHost;
  /** Chains are kept instead of answered. */
  hold = false;
  readonly held: DescriptorChain[] = [];
  resets = 0;

  attach(host: VirtioHost): void {
    this.host = host;
  }

  notify(queue: number): void {
    for (let chain = this.host.queue(queue).pop(); chain; chain = this.host.queue(queue).pop()) {
      if (this.hold) this.held.push(chain);
      else this.answer(queue, chain);
    }
  }

  answer(queue: number, chain: DescriptorChain): void {
    const bytes = new Uint8Array(chain.readableLength);
    gather(this.host.memory, chain, bytes);
    this.host.queue(queue).complete(chain, scatter(this.host.memory, chain, [bytes.reverse()]));
  }

  reset(): void {
    this.resets++;
  }
}

const variants: DriverOptions[] = [
  {},
  { eventIndex: true },
  { indirect: true },
  { eventIndex: true, indirect: true },
];

describe('a split virtqueue', () => {
  for (const options of variants) {
    it(`carries buffers both ways past the end of its rings, with ${JSON.stringify(options)}`, () => {
      const driver = new TestDriver(new Echo(), options).start();
      for (let round = 0; round < 100; round++) {
        const request = Uint8Array.of(round, 2, 3, 4, 5);
        const token = driver.send(1, [request.subarray(0, 2), request.subarray(2)], [3, 8]);
        const used = driver.used(1);
        assert.equal(used.length, 1);
        assert.equal(used[0]!.token, token);
        assert.deepEqual([...used[0]!.bytes], [5, 4, 3, 2, round]);
      }
      assert.equal(driver.status, 15);
    });
  }

  it('answers chains in any order', () => {
    const echo = new Echo();
    const driver = new TestDriver(echo).start();
    echo.hold = true;
    const first = driver.send(0, [Uint8Array.of(1)], [1]);
    const second = driver.send(0, [Uint8Array.of(2)], [1]);
    echo.answer(0, echo.held[1]!);
    echo.answer(0, echo.held[0]!);
    assert.deepEqual(
      driver.used(0).map(({ token }) => token),
      [second, first],
    );
  });

  it('interrupts only where the driver asked for it', () => {
    const driver = new TestDriver(new Echo()).start();
    driver.memory.writeU16(driver.queueAt(0).available, R.AVAIL_NO_INTERRUPT);
    driver.send(0, [Uint8Array.of(1)], [1]);
    assert.equal(driver.interrupts, 0);
    driver.memory.writeU16(driver.queueAt(0).available, 0);
    driver.send(0, [Uint8Array.of(1)], [1]);
    assert.equal(driver.interrupts, 1);
    assert.equal(driver.read(R.BAR_ISR, 1), R.ISR_QUEUE);
    assert.equal(driver.read(R.BAR_ISR, 1), 0);
  });

  it('with event indexes, interrupts once the index asked for is passed', () => {
    const driver = new TestDriver(new Echo(), { eventIndex: true }).start();
    const { available, size } = driver.queueAt(0);
    driver.memory.writeU16(available + 4 + 2 * size, 2);
    for (let i = 0; i < 5; i++) driver.send(0, [Uint8Array.of(1)], [1]);
    assert.equal(driver.interrupts, 1);
  });

  it('says with the event index how far it has seen', () => {
    const driver = new TestDriver(new Echo(), { eventIndex: true }).start();
    driver.send(0, [Uint8Array.of(1)], [1]);
    driver.send(0, [Uint8Array.of(1)], [1]);
    const { usedRing, size } = driver.queueAt(0);
    assert.equal(driver.memory.readU16(usedRing + 4 + 8 * size), 2);
  });

  it('joins buffers that lie side by side and are for the same', () => {
    const echo = new Echo();
    const driver = new TestDriver(echo).start();
    echo.hold = true;
    // Each begins at a multiple of 16: behind the one of eight bytes is a gap.
    driver.send(0, [new Uint8Array(16), new Uint8Array(16)], [16, 8, 16]);
    const [{ readable, writable, readableLength, writableLength }] = echo.held as [DescriptorChain];
    const start = readable[0]!.address;
    assert.deepEqual(readable, [{ address: start, length: 32 }]);
    assert.deepEqual(writable, [
      { address: start + 32, length: 24 },
      { address: start + 64, length: 16 },
    ]);
    assert.deepEqual([readableLength, writableLength], [32, 40]);
  });

  it('forgets chains of before a reset', () => {
    const echo = new Echo();
    const driver = new TestDriver(echo).start();
    echo.hold = true;
    driver.send(0, [Uint8Array.of(1)], [1]);
    driver.start();
    echo.answer(0, echo.held[0]!);
    assert.deepEqual(driver.used(0), []);
    assert.equal(echo.resets, 2);
  });
});

describe('a virtqueue of a driver that breaks the rules', () => {
  const somewhere = { address: 0x8000_0000, length: 16, flags: 0 };
  const cases: Record<string, (driver: TestDriver) => void> = {
    'a chain that loops': (driver) => {
      const queue = driver.queueAt(0);
      queue.descriptor(queue.descriptors, 0, somewhere, R.DESC_NEXT, 1);
      queue.descriptor(queue.descriptors, 1, somewhere, R.DESC_NEXT, 0);
    },
    'a next index behind the table': (driver) => {
      const queue = driver.queueAt(0);
      queue.descriptor(queue.descriptors, 0, somewhere, R.DESC_NEXT, 8);
    },
    'a buffer outside RAM': (driver) => {
      const queue = driver.queueAt(0);
      queue.descriptor(queue.descriptors, 0, { ...somewhere, address: 0x1000 }, 0, 0);
    },
    'a buffer over the end of RAM': (driver) => {
      const queue = driver.queueAt(0);
      queue.descriptor(queue.descriptors, 0, { ...somewhere, length: 0xffff_ffff }, 0, 0);
    },
    'an indirect table that was not negotiated': (driver) => {
      const queue = driver.queueAt(0);
      queue.descriptor(queue.descriptors, 0, somewhere, R.DESC_INDIRECT, 0);
    },
    'a readable buffer behind a writable one': (driver) => {
      const queue = driver.queueAt(0);
      queue.descriptor(queue.descriptors, 0, somewhere, R.DESC_NEXT | R.DESC_WRITE, 1);
      queue.descriptor(queue.descriptors, 1, somewhere, 0, 0);
    },
    'an available index far ahead': (driver) => {
      driver.memory.writeU16(driver.queueAt(0).available + 2, 1000);
    },
    'a head behind the table': (driver) => {
      driver.memory.writeU16(driver.queueAt(0).available + 4, 9);
    },
  };
  for (const [name, prepare] of Object.entries(cases)) {
    it(`needs a reset after ${name}, and works again after it`, () => {
      const driver = new TestDriver(new Echo()).start();
      driver.queueAt(0).makeAvailable(0);
      prepare(driver);
      driver.kick(0);
      assert.equal(driver.status & R.STATUS_NEEDS_RESET, R.STATUS_NEEDS_RESET);
      assert.equal(driver.read(R.BAR_ISR, 1) & R.ISR_CONFIG, R.ISR_CONFIG);
      assert.deepEqual(driver.used(0), []);
      driver.memory.writable(driver.memory.base, 0x10_0000).fill(0);
      driver.start();
      driver.send(0, [Uint8Array.of(1)], [1]);
      assert.equal(driver.used(0).length, 1);
    });
  }

  it('refuses a nested indirect table', () => {
    const driver = new TestDriver(new Echo(), { indirect: true }).start();
    const queue = driver.queueAt(0);
    const table = driver.place(new Uint8Array(16));
    queue.descriptor(table, 0, somewhere, R.DESC_INDIRECT, 0);
    queue.descriptor(queue.descriptors, 0, { ...somewhere, address: table }, R.DESC_INDIRECT, 0);
    queue.makeAvailable(0);
    driver.kick(0);
    assert.equal(driver.status & R.STATUS_NEEDS_RESET, R.STATUS_NEEDS_RESET);
  });

  it('touches no memory for an indirect table that is longer than its queue', () => {
    const driver = new TestDriver(new Echo(), { indirect: true }).start();
    const { memory } = driver;
    const queue = driver.queueAt(0);
    const length = 0x80_0000;
    const table = { address: memory.base + memory.size - length, length, flags: 0 };
    queue.descriptor(queue.descriptors, 0, table, R.DESC_INDIRECT, 0);
    queue.makeAvailable(0);
    driver.kick(0);
    assert.equal(driver.status & R.STATUS_NEEDS_RESET, R.STATUS_NEEDS_RESET);
    const first = (table.address - memory.base) / GUEST_PAGE;
    const pages = Array.from({ length: length / GUEST_PAGE }, (_, index) => first + index);
    assert.ok(!pages.some((page) => memory.isTouched(page)));
  });

  it('takes an indirect table as long as its queue, and none that is longer', () => {
    const send = (buffers: number) => {
      const driver = new TestDriver(new Echo(), { indirect: true, queueSize: 8 }).start();
      driver.send(
        0,
        Array.from({ length: buffers }, () => Uint8Array.of(1)),
      );
      return driver.used(0).length;
    };
    assert.deepEqual([send(8), send(9)], [1, 0]);
  });

  it('refuses rings outside RAM when they are enabled', () => {
    const driver = new TestDriver(new Echo());
    driver.write(R.COMMON.deviceStatus, 1, 3);
    driver.write(R.COMMON.driverFeatureSelect, 4, 1);
    driver.write(R.COMMON.driverFeature, 4, 1);
    driver.write(R.COMMON.deviceStatus, 1, 11);
    driver.write(R.COMMON.queueDesc + 4, 4, 0xffff_ffff);
    driver.write(R.COMMON.queueEnable, 2, 1);
    assert.equal(driver.read(R.COMMON.queueEnable, 2), 0);
    assert.equal(driver.status & R.STATUS_NEEDS_RESET, R.STATUS_NEEDS_RESET);
  });
});

describe('the common configuration', () => {
  it('does not keep FEATURES_OK for features that were not offered', () => {
    const driver = new TestDriver(new Echo(), { features: [9] }).start();
    assert.equal(driver.status & R.STATUS_FEATURES_OK, 0);
  });

  it('ignores queue sizes that are no power of two or too large', () => {
    const driver = new TestDriver(new Echo());
    for (const size of [0, 3, 16, 0xffff]) {
      driver.write(R.COMMON.queueSize, 2, size);
      assert.equal(driver.read(R.COMMON.queueSize, 2), 8);
    }
    driver.write(R.COMMON.queueSize, 2, 4);
    assert.equal(driver.read(R.COMMON.queueSize, 2), 4);
  });

  it('reads back 64-bit ring addresses, and zero for a queue that is not there', () => {
    const driver = new TestDriver(new Echo());
    driver.write(R.COMMON.queueDriver, 4, 0x8765_4320);
    driver.write(R.COMMON.queueDriver + 4, 4, 5);
    assert.equal(driver.read(R.COMMON.queueDriver, 4), 0x8765_4320);
    assert.equal(driver.read(R.COMMON.queueDriver + 4, 4), 5);
    driver.write(R.COMMON.queueSelect, 2, 7);
    assert.equal(driver.read(R.COMMON.queueSize, 2), 0);
    assert.equal(driver.read(R.COMMON.queueDriver, 4), 0);
  });

  it('shows the device configuration in every width', () => {
    const driver = new TestDriver(new Echo());
    assert.equal(driver.read(R.BAR_DEVICE, 4), 0x0403_0201);
    assert.equal(driver.read(R.BAR_DEVICE + 4, 4), 5);
    assert.equal(driver.read(R.BAR_DEVICE + 2, 2), 0x0403);
  });
});
