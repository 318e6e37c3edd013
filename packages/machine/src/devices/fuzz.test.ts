import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { GuestMemory } from '../hart/guest-memory.ts';
import { repeatableRandom } from '../run/repeatable-random.ts';
import { Clint } from './clint/device.ts';
import type { AccessSize, MmioDevice } from './device.ts';
import { Generation } from './generation/device.ts';
import { PciHost } from './pci/device.ts';
import { Plic } from './plic/device.ts';
import { Power } from './power/device.ts';
import { Rtc } from './rtc/device.ts';
import { Uart } from './uart/device.ts';
import type { VirtioDevice } from './virtio/device.ts';
import { BAR_NOTIFY, BAR_SIZE, COMMON } from './virtio/registers.ts';
import { SharedMemory } from './virtio/shared-memory.ts';
import { TestDriver } from './virtio/testing/driver.ts';
import { VirtioConsole } from './virtio-console/device.ts';
import { VirtioFs } from './virtio-fs/device.ts';
import { VirtioNet } from './virtio-net/device.ts';
import { VirtioRng } from './virtio-rng/device.ts';

const sizes = [1, 2, 4] as const;

/** A source of numbers below a bound, the same in every run. */
function numbers(seed: number): (bound: number) => number {
  const fill = repeatableRandom(seed);
  const bytes = new Uint8Array(4);
  return (bound) => {
    fill(bytes);
    return new DataView(bytes.buffer).getUint32(0) % bound;
  };
}

function hammer(device: MmioDevice, range: number, rounds: number, next = numbers(1)): void {
  for (let i = 0; i < rounds; i++) {
    const size: AccessSize = sizes[next(3)]!;
    const offset = next(range) & ~(size - 1);
    const value = next(4) === 0 ? 0xffff_ffff : next(0xffff_ffff);
    if (next(2)) device.write(offset, size, size === 4 ? value : value & ((1 << (8 * size)) - 1));
    else assert.equal(typeof device.read(offset, size), 'number');
  }
}

describe('random register accesses', () => {
  const hart = { mtimecmp: 0n, time: 0n, setInterrupt() {} };
  const devices: Record<string, [MmioDevice, number]> = {
    plic: [new Plic(96, [() => {}, () => {}]), 0x20_3000],
    clint: [new Clint(hart), 0x1_0000],
    uart: [
      new Uart(
        () => {},
        () => {},
      ),
      0x100,
    ],
    rtc: [new Rtc(Date.now, () => {}), 0x20],
    power: [new Power(() => {}), 8],
    generation: [new Generation(() => {}), 0x20],
  };
  for (const [name, [device, range]] of Object.entries(devices)) {
    it(`do not harm the ${name}`, () => hammer(device, range, 20_000));
  }
});

const virtioDevices: Record<string, () => VirtioDevice> = {
  console: () =>
    new VirtioConsole([
      { console: true, onData() {} },
      { name: 'x', onData: async () => {} },
    ]),
  rng: () => new VirtioRng((bytes) => bytes.fill(1)),
  net: () => {
    const device: VirtioNet = new VirtioNet({
      mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
      peer: {
        receive: (frame, { segments }) => {
          if (frame.length > 20) device.send(frame.slice(0, 20), [frame.slice(20)], {});
          return segments !== undefined;
        },
        room: () => void device.send(new Uint8Array(60), [], {}),
      },
    });
    return device;
  },
  fs: () =>
    new VirtioFs({
      tag: 'x',
      handle: (request, capacity) =>
        request[0]! & 1 ? Promise.resolve(undefined) : new Uint8Array(Math.min(capacity, 100)),
    }),
  'sharing fs': () => {
    const sharedMemory = new SharedMemory();
    const memory = new GuestMemory(0x20_0000);
    sharedMemory.place(memory, memory.base + 0x10_0000, 0x10_0000);
    return new VirtioFs({ tag: 'x', handle: () => undefined, sharedMemory });
  },
};

describe('random virtio registers and rings', () => {
  for (const [name, make] of Object.entries(virtioDevices)) {
    it(`do not harm the ${name} device`, async () => {
      const next = numbers(7);
      const driver = new TestDriver(make());
      const bar = driver.transport.pci.bars[0]!.device;
      for (let round = 0; round < 60; round++) {
        driver.start();
        scribble(driver, next);
        for (let i = 0; i < 60; i++) {
          const queue = next(driver.transport.device.queueSizes.length);
          driver.queueAt(queue).makeAvailable(next(80));
          bar.write(BAR_NOTIFY + queue * 4, 4, queue);
          if (next(4) === 0) hammer(bar, next(2) ? COMMON.end : BAR_SIZE, 5, next);
        }
        if (round % 10 === 0) await setImmediate();
      }
      assert.deepEqual(driver.faults, []);
    });

    it(`do not harm the ${name} device through configuration space`, () => {
      const driver = new TestDriver(make());
      const host = new PciHost(0x4000_0000);
      host.add(driver.transport.pci, () => () => {});
      hammer(host.config, 0x1000, 10_000, numbers(11));
      hammer(host.memory, 0x10_0000, 1000, numbers(12));
    });
  }
});

/** Fills descriptor tables with what is almost right: small indexes, addresses in RAM, odd flags. */
function scribble(driver: TestDriver, next: (bound: number) => number): void {
  const { memory } = driver;
  driver.transport.device.queueSizes.forEach((_, index) => {
    const queue = driver.queueAt(index);
    for (let i = 0; i < queue.size; i++) {
      const wild = next(50) === 0;
      const address = wild ? next(0xffff_ffff) : memory.base + next(memory.size - 0x1_0000);
      const buffer = { address, length: wild ? next(0xffff_ffff) : next(0x1000), flags: 0 };
      const flags = next(10) === 0 ? next(16) : next(4);
      queue.descriptor(queue.descriptors, i, buffer, flags, next(queue.size + 2));
    }
  });
}
