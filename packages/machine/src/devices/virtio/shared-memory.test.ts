import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GuestMemory } from '../../hart/guest-memory.ts';
import * as P from '../pci/registers.ts';
import { VirtioFs } from '../virtio-fs/device.ts';
import * as R from './registers.ts';
import { SharedMemory } from './shared-memory.ts';
import { TestDriver } from './testing/driver.ts';

const SIZE = 0x40_0000;

function shared() {
  const memory = new GuestMemory(0x100_0000);
  const sharedMemory = new SharedMemory();
  sharedMemory.place(memory, memory.base + 0x80_0000, SIZE);
  return { memory, sharedMemory };
}

const fs = (sharedMemory: SharedMemory) =>
  new VirtioFs({ tag: 'x', handle: () => undefined, sharedMemory });

describe('shared memory', () => {
  it('is RAM at the place that it was given', () => {
    const { memory, sharedMemory } = shared();
    sharedMemory.at(0x1000, 3).set([1, 2, 3]);
    const { base } = memory;
    assert.deepEqual([...memory.readable(base + 0x80_1000, 3)], [1, 2, 3]);
    assert.deepEqual(memory.takeWritten(), [0x801], 'a fork takes what was written');
  });

  it('reaches no further than its own bytes', () => {
    const { sharedMemory } = shared();
    assert.equal(sharedMemory.at(0, SIZE).length, SIZE);
    for (const [offset, length] of [
      [-1, 1],
      [SIZE, 1],
      [1, SIZE],
      [0, -1],
      [2 ** 52, 1],
      [Number.NaN, 1],
    ] as const) {
      assert.throws(() => sharedMemory.at(offset, length), { code: 'MACHINE_BAD_ADDRESS' });
    }
    assert.equal(new SharedMemory().size, 0);
    assert.throws(() => new SharedMemory().at(0, 1), { code: 'MACHINE_BAD_ADDRESS' });
  });

  it('is shown to the driver as a prefetchable BAR, by a capability', () => {
    const { pci } = new TestDriver(fs(shared().sharedMemory)).transport;
    const bar = P.BAR_0 + 4 * R.SHARED_BAR;
    assert.equal(pci.readConfig(bar, 4), P.BAR_MEMORY_64 | P.BAR_PREFETCHABLE);
    pci.writeConfig(bar, 4, 0xffff_ffff);
    assert.equal(pci.readConfig(bar, 4) & ~0xf, -SIZE);
    const at = capability(pci, R.CFG_SHARED_MEMORY)!;
    // VIRTIO 1.2, 4.1.4.7: bar, id, and offset and length of 64 bits each, in two halves.
    assert.deepEqual([pci.readConfig(at + 4, 1), pci.readConfig(at + 5, 1)], [R.SHARED_BAR, 0]);
    assert.deepEqual([pci.readConfig(at + 8, 4), pci.readConfig(at + 16, 4)], [0, 0]);
    assert.deepEqual([pci.readConfig(at + 12, 4), pci.readConfig(at + 20, 4)], [SIZE, 0]);
  });

  it('is not shown where the machine has no room for it', () => {
    const { pci } = new TestDriver(fs(new SharedMemory())).transport;
    assert.equal(capability(pci, R.CFG_SHARED_MEMORY), undefined);
    assert.equal(pci.bars.length, 1);
  });
});

/** Offset of the vendor's capability of a type. */
function capability(
  pci: { readConfig(offset: number, size: 1 | 2 | 4): number },
  type: number,
): number | undefined {
  for (let at = pci.readConfig(P.CAPABILITIES, 1); at !== 0; at = pci.readConfig(at + 1, 1)) {
    if (pci.readConfig(at, 1) === R.CAP_VENDOR && pci.readConfig(at + 3, 1) === type) return at;
  }
  return undefined;
}
