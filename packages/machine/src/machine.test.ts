import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { VirtioFs } from './devices/virtio-fs/device.ts';
import { Machine } from './machine.ts';
import type { MachineOptions } from './machine-options.ts';
import { buildImage, loadConstant } from './platform/testing/programs.ts';

const decoder = new TextDecoder();

/** Prints a string through the SBI debug console, byte by byte. */
function print(text: string): string {
  return [...text]
    .map((character) => {
      const byte = character.charCodeAt(0);
      return `addi a0, zero, ${byte}\naddi a6, zero, 2\n${loadConstant('a7', 0x4442_434e)}\necall`;
    })
    .join('\n');
}

function systemReset(type: number): string {
  return `addi a0, zero, ${type}\naddi a1, zero, 0\naddi a6, zero, 0
    ${loadConstant('a7', 0x5352_5354)}\necall`;
}

async function boot(source: string, options: Partial<MachineOptions> = {}) {
  let serial = '';
  const machine = await Machine.create({
    kernel: buildImage(source),
    memoryMiB: 64,
    onSerial: (bytes) => {
      serial += decoder.decode(bytes);
    },
    ...options,
  });
  return { machine, serial: () => serial };
}

/** Waits for serial input, prints it, powers off. */
const echo = `
  lui t0, 0x10000
  addi t1, zero, 1
  sb t1, 1(t0)
  lui t2, 0xc000
  addi t1, zero, 1
  sw t1, 40(t2)
  lui t3, 0x2
  addi t3, t3, 0x80
  add t3, t3, t2
  addi t1, zero, 1024
  sw t1, 0(t3)
  addi t1, zero, 512
  csrrs zero, 0x104, t1
  wait: wfi
  lbu t4, 5(t0)
  andi t4, t4, 1
  beq t4, zero, wait
  lbu t4, 0(t0)
  sb t4, 0(t0)
  ${systemReset(0)}`;

describe('a machine', () => {
  it('runs a kernel in S-mode until it powers off', async () => {
    const { machine, serial } = await boot(`${print('hi')}\n${systemReset(0)}`);
    assert.deepEqual(await machine.run(), { reason: 'poweroff', code: 0 });
    assert.equal(serial(), 'hi');
    assert.ok(machine.statistics.instructions > 10);
  });

  it('tells a reboot, and a reboot after a panic by its reason', async () => {
    const { machine } = await boot(systemReset(1));
    assert.deepEqual(await machine.run(), { reason: 'reboot' });
    const panic = print('Kernel panic - not syncing: oh no\n');
    const { machine: second } = await boot(`${panic}\n${systemReset(1)}`);
    assert.deepEqual(await second.run(), { reason: 'panic', message: 'oh no' });
  });

  it('lets the host do its work while the guest is busy, and can be stopped', async () => {
    const { machine } = await boot('end: jal zero, end');
    const running = machine.run();
    await setTimeout(10);
    await setTimeout(10);
    await machine.stop();
    assert.deepEqual(await running, { reason: 'stopped' });
  });

  it('is stopped by a signal, also before it runs', async () => {
    const stopping = new AbortController();
    const { machine } = await boot('end: jal zero, end');
    const running = machine.run({ signal: stopping.signal });
    await setTimeout(5);
    stopping.abort();
    assert.deepEqual(await running, { reason: 'stopped' });
    const { machine: second } = await boot('end: jal zero, end');
    assert.deepEqual(await second.run({ signal: stopping.signal }), { reason: 'stopped' });
  });

  it('sleeps without instructions while the guest waits, and wakes for a device', async () => {
    const { machine, serial } = await boot(echo);
    const running = machine.run();
    const look = async () => {
      const before = machine.statistics.instructions;
      await setTimeout(30);
      return { before, after: machine.statistics.instructions };
    };
    // It may take a while to come there; a machine that does not sleep never looks like that.
    for (
      let looks = 0, seen = await look();
      seen.before === 0 || seen.after > seen.before;
      looks++
    ) {
      assert.ok(looks < 1000, `${seen.after} instructions`);
      seen = await look();
    }
    await machine.writeSerial(new TextEncoder().encode('z'));
    assert.deepEqual(await running, { reason: 'poweroff', code: 0 });
    assert.equal(serial(), 'z');
  });

  it('wakes for the timer that the guest set through SBI', async () => {
    const timer = `csrrs a0, 0xc01, zero
      ${loadConstant('t0', 50_000)}
      add a0, a0, t0
      addi a6, zero, 0
      ${loadConstant('a7', 0x5449_4d45)}
      ecall
      addi t0, zero, 32
      csrrs zero, 0x104, t0
      wfi
      ${systemReset(0)}`;
    for (const clock of ['real', 'instructions'] as const) {
      const { machine } = await boot(timer, { clock });
      assert.deepEqual(await machine.run(), { reason: 'poweroff', code: 0 });
    }
  });

  it('runs once only, and frees those who write to it when it ends', async () => {
    const { machine } = await boot(systemReset(0));
    await machine.run();
    assert.throws(() => machine.run(), { code: 'MACHINE_WRONG_STATE' });
    await machine.writeSerial(new Uint8Array(100));
    await machine.stop();
  });

  it('refuses sizes that make no sense and kernels that are none', async () => {
    for (const memoryMiB of [0, 63, 64.5, Number.NaN]) {
      await assert.rejects(boot('wfi', { memoryMiB }), { code: 'MACHINE_BAD_OPTION' });
    }
    await assert.rejects(boot('wfi', { kernel: new Uint8Array(9) }), {
      code: 'MACHINE_BAD_KERNEL',
    });
    const many = Array.from(
      { length: 33 },
      (_, i) => new VirtioFs({ tag: `t${i}`, handle: () => undefined }),
    );
    await assert.rejects(boot('wfi', { devices: many }), { code: 'MACHINE_BAD_OPTION' });
  });
});
