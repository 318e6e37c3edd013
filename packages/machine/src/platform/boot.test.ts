import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GuestMemory } from '../hart/guest-memory.ts';
import { loadLinux } from './boot.ts';
import { parseLinuxImage } from './linux-image.ts';
import { buildImage } from './testing/programs.ts';

const image = buildImage('ecall');
const rest = { commandLine: '', randomSeed: new Uint8Array(64), pciSlots: 0 };

function changed(offset: number, value: number): Uint8Array {
  const copy = image.slice();
  new DataView(copy.buffer).setUint32(offset, value, true);
  return copy;
}

describe('a kernel', () => {
  it('is placed at its offset, the RAM disk below the device tree at the top', () => {
    const memory = new GuestMemory(0x400_0000);
    const initrd = Uint8Array.of(1, 2, 3);
    const entry = loadLinux(memory, { kernel: image, initrd, ...rest });
    assert.equal(entry.pc, 0x8020_0000n);
    assert.equal(entry.deviceTree, 0x83e0_0000n);
    assert.deepEqual(memory.readable(0x8020_0000, image.length), image);
    assert.deepEqual(memory.readable(0x83df_f000, 3), initrd);
    assert.equal(memory.readU32(0x83e0_0000), 0xedfe_0dd0);
  });

  it('that does not fit is refused', () => {
    const memory = new GuestMemory(0x400_0000);
    const initrd = new Uint8Array(0x400_0000);
    assert.throws(() => loadLinux(memory, { kernel: image, initrd, ...rest }), {
      code: 'MACHINE_TOO_LARGE',
    });
    const tiny = new GuestMemory(0x10_0000);
    assert.throws(() => loadLinux(tiny, { kernel: image, ...rest }), { code: 'MACHINE_TOO_LARGE' });
  });

  it('for another processor is refused by name', () => {
    const x86 = new Uint8Array(1024);
    new DataView(x86.buffer).setUint32(0x202, 0x5372_6448, true);
    for (const [bytes, name] of [
      [changed(56, 0x644d_5241), 'arm64'],
      [x86, 'x86'],
    ] as const) {
      assert.throws(
        () => parseLinuxImage(bytes),
        (error: Error & { code?: string }) =>
          error.code === 'MACHINE_WRONG_ARCHITECTURE' && error.message.includes(name),
      );
    }
  });

  it('that is none is refused', () => {
    const gzip = new Uint8Array(100);
    gzip.set([0x1f, 0x8b]);
    for (const bytes of [
      new Uint8Array(0),
      new Uint8Array(63),
      new Uint8Array(100),
      gzip,
      changed(8, 0x1001),
      changed(12, 1),
      changed(20, 2),
      changed(24, 1),
    ]) {
      assert.throws(() => parseLinuxImage(bytes), { code: 'MACHINE_BAD_KERNEL' });
    }
  });
});
