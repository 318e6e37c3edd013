import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import * as R from '../devices/virtio/registers.ts';
import { VirtioRng } from '../devices/virtio-rng/device.ts';
import type { MachineOptions } from '../machine-options.ts';
import { memoryMap } from '../platform/memory-map.ts';
import { loadConstant } from '../platform/testing/programs.ts';
import { failIf, kernel, machineOf, Sbi, sbi } from './testing/kernels.ts';

/** Where the guest has its queue: one descriptor, named again and again by a ring of zeros. */
const queue = {
  table: 0x8200_0000,
  available: 0x8200_1000,
  used: 0x8200_2000,
  buffer: 0x8300_0000,
};
const pci = { command: memoryMap.pciConfig.base + 4, bar: memoryMap.pciConfig.base + 0x10 };
const device = memoryMap.pciMemory.base;

const address = (register: string, value: number): string =>
  `${loadConstant(register, value | 0)}\nslli ${register}, ${register}, 32\nsrli ${register}, ${register}, 32`;

const store = (size: 'b' | 'h' | 'w', at: number, value: number): string =>
  `${address('t0', at)}\n${loadConstant('t1', value | 0)}\ns${size} t1, 0(t0)`;

/** Hart 0 has a device of random numbers serve a queue with a buffer of 64 KiB. */
const setUp = [
  store('w', pci.bar, device),
  store('h', pci.command, 2),
  store('w', device + R.COMMON.driverFeatureSelect, 1),
  store('w', device + R.COMMON.driverFeature, 1),
  store('b', device + R.COMMON.deviceStatus, 11),
  store('w', device + R.COMMON.queueDesc, queue.table),
  store('w', device + R.COMMON.queueDriver, queue.available),
  store('w', device + R.COMMON.queueDevice, queue.used),
  store('h', device + R.COMMON.queueEnable, 1),
  store('b', device + R.COMMON.deviceStatus, 15),
  store('w', queue.table, queue.buffer),
  store('w', queue.table + 8, 0x1_0000),
  store('h', queue.table + 12, R.DESC_WRITE),
  address('s5', queue.available),
  address('s6', queue.used),
  address('s7', device + R.BAR_NOTIFY),
].join('\n');

describe('hostile guests on several harts', () => {
  /** A machine whose guest never ends by itself is stopped, its threads with it. */
  async function stops(
    cpus: number,
    source: string,
    options: Partial<MachineOptions> = {},
    runs: () => boolean = () => true,
  ): Promise<void> {
    const machine = await machineOf(cpus, source, options);
    const ended = machine.run();
    await setTimeout(150);
    while (!runs()) await setTimeout(10);
    await machine.stop();
    assert.deepEqual(await ended, { reason: 'stopped' });
  }

  it('may interrupt each other without end', async () => {
    const work = `
      again: addi a0, zero, -1
      addi a1, zero, -1
      ${sbi(Sbi.ipi, 0)}
      jal zero, again`;
    await stops(4, kernel(4, work));
  });

  it('may ask each other for fences without end', async () => {
    const work = `
      again: addi a1, zero, -1
      ${sbi(Sbi.fence, 1)}
      addi a1, zero, -1
      ${sbi(Sbi.fence, 0)}
      jal zero, again`;
    await stops(4, kernel(4, work));
  });

  it('may flood devices', async () => {
    const work = `
      lui t0, 0x10000
      lui t1, 0xc000
      again: lbu t2, 5(t0)
      lw t2, 4(t1)
      sw t2, 4(t1)
      jal zero, again`;
    await stops(4, kernel(4, work));
  });

  /** Counts what it is asked for. */
  function counting() {
    let count = 0;
    const devices = [new VirtioRng(() => void count++)];
    return { devices, served: () => count > 1000 };
  }

  it('may have a device work without end', async () => {
    const work = `
      ${setUp}
      again: lhu t2, 2(s5)
      addi t2, t2, 64
      sh t2, 2(s5)
      sw zero, 0(s7)
      jal zero, again`;
    const { devices, served } = counting();
    await stops(1, kernel(1, work), { devices }, served);
  });

  it('may give a device more to do while it works, without end', async () => {
    // Hart 1 keeps up to 32 buffers ahead of the device.
    const work = `
      bne s0, zero, feed
      ${setUp}
      amoadd.d zero, s3, (s1)
      again: sw zero, 0(s7)
      jal zero, again
      feed: ld t2, 0(s1)
      beq t2, zero, feed
      ${address('s5', queue.available)}
      ${address('s6', queue.used)}
      addi s8, zero, 32
      addi s9, zero, 0
      more: lhu t2, 2(s6)
      sub t2, s9, t2
      slli t2, t2, 48
      srli t2, t2, 48
      bgeu t2, s8, more
      addi s9, s9, 1
      sh s9, 2(s5)
      jal zero, more`;
    const { devices, served } = counting();
    await stops(2, kernel(2, work), { devices }, served);
  });

  it('may stop all of themselves', async () => {
    await stops(3, kernel(3, sbi(Sbi.harts, 1)));
  });

  it('may start harts where nothing is, or garbage', async () => {
    const garbage = `
      addi a0, zero, 1
      lui a1, 0x82
      slli a1, a1, 12
      ${sbi(Sbi.harts, 0)}
      addi a0, zero, 2
      addi a1, zero, -2
      ${sbi(Sbi.harts, 0)}
      addi t0, zero, -5
      ${failIf('bne a0, t0', 1)}
      here: jal zero, here`;
    await stops(3, garbage);
  });
});

describe('a machine of several harts', () => {
  it('has 1 to 16 of them', async () => {
    for (const cpus of [0, -1, 1.5, 17, Number.NaN]) {
      await assert.rejects(machineOf(cpus, 'wfi'), { code: 'MACHINE_BAD_OPTION' });
    }
  });

  it('cannot repeat its runs', async () => {
    await assert.rejects(machineOf(2, 'wfi', { clock: 'instructions' }), {
      code: 'MACHINE_BAD_OPTION',
    });
  });

  it('may be stopped before it started', async () => {
    const machine = await machineOf(4, 'wfi');
    const ended = machine.run();
    await machine.stop();
    assert.deepEqual(await ended, { reason: 'stopped' });
  });
});
