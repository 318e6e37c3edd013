import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SharedMemory } from '../devices/virtio/shared-memory.ts';
import { VirtioFs } from '../devices/virtio-fs/device.ts';
import { GuestMemory } from '../hart/guest-memory.ts';
import { describeBoard } from './device-tree.ts';
import { memoryMap } from './memory-map.ts';
import { areWindows, placeWindows, WINDOW_SIZE, windowRegion, withWindows } from './windows.ts';

const MIB = 0x10_0000;
const GIB = 2 ** 30;
const plain = () => new VirtioFs({ tag: 'plain', handle: () => undefined });
const shares = () =>
  new VirtioFs({ tag: 'shares', handle: () => undefined, sharedMemory: new SharedMemory() });

describe('windows for shared memory', () => {
  it('lie behind what the kernel is told of, each at a multiple of its size', () => {
    const devices = [plain(), shares(), plain(), shares()];
    const { memorySize, windows } = withWindows(100 * MIB, devices);
    assert.deepEqual(windows, [0, WINDOW_SIZE, 0, WINDOW_SIZE]);
    assert.equal(memorySize, 128 * MIB + 2 * WINDOW_SIZE);
    const region = windowRegion(memorySize, windows)!;
    assert.deepEqual(region, { base: memoryMap.ram.base + 128 * MIB, size: 2 * WINDOW_SIZE });
    const memory = new GuestMemory(memorySize);
    placeWindows(memory, devices, windows);
    devices[3]!.sharedMemory!.at(0, 1)[0] = 7;
    assert.equal(memory.readU8(region.base + WINDOW_SIZE), 7);
  });

  it('are left out where no device shares memory, and where addresses do not suffice', () => {
    assert.deepEqual(withWindows(100 * MIB, [plain()]), { memorySize: 100 * MIB, windows: [0] });
    assert.equal(windowRegion(100 * MIB, [0]), undefined);
    const large = 4 * GIB - 64 * MIB;
    assert.deepEqual(withWindows(large, [shares()]), { memorySize: large, windows: [0] });
  });

  it('are those of the last machine that a device was in', () => {
    const device = shares();
    const { memorySize, windows } = withWindows(100 * MIB, [device]);
    placeWindows(new GuestMemory(memorySize), [device], windows);
    assert.equal(device.sharedMemory!.size, WINDOW_SIZE);
    placeWindows(new GuestMemory(100 * MIB), [device], [0]);
    assert.equal(device.sharedMemory!.size, 0);
    assert.throws(() => device.sharedMemory!.at(0, 1), { code: 'MACHINE_BAD_ADDRESS' });
  });

  it('are a window of PCI in the device tree, and no memory', () => {
    const windows = { base: memoryMap.ram.base + 128 * MIB, size: WINDOW_SIZE };
    const board = { memorySize: 100 * MIB, bootArguments: '', randomSeed: new Uint8Array(0) };
    const root = describeBoard({ ...board, pciSlots: 1, cpus: 1, windows });
    const memory = root.children!.find(({ name }) => name.startsWith('memory@'))!;
    assert.deepEqual(memory.properties!['reg'], [0, memoryMap.ram.base, 0, 100 * MIB]);
    const soc = root.children!.find(({ name }) => name === 'soc')!;
    const pci = soc.children!.find(({ name }) => name.startsWith('pci@'))!;
    const ranges = pci.properties!['ranges'] as readonly number[];
    assert.deepEqual(ranges.slice(7), [
      0x4300_0000,
      0,
      windows.base,
      0,
      windows.base,
      0,
      windows.size,
    ]);
  });

  it('of a snapshot are those that a machine can have', () => {
    assert.ok(areWindows([0, 0], 100 * MIB));
    assert.ok(areWindows([0, WINDOW_SIZE], 2 * WINDOW_SIZE));
    assert.ok(!areWindows([WINDOW_SIZE], WINDOW_SIZE));
    assert.ok(!areWindows([WINDOW_SIZE], 100 * MIB));
    for (const size of [4096, -WINDOW_SIZE, '1', null, Number.NaN]) {
      assert.ok(!areWindows([size], 16 * WINDOW_SIZE));
    }
  });
});
