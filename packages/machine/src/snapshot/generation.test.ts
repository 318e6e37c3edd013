import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { memorySource } from '@anole/bytes';
import { kernel, machineOf, powerOff } from '../harts/testing/kernels.ts';
import { Machine } from '../machine.ts';
import type { MachineOptions } from '../machine-options.ts';
import { Board } from '../platform/board.ts';
import { devicesFromJson } from './board-state.ts';
import { restoreHarts } from './hart-state.ts';
import { openSnapshot } from './read.ts';

/** Says that it is there, waits for the interrupt of the generation, and prints the id. */
const waiting = () => `
  lui t0, 0xc000
  addi t1, zero, 1
  sw t1, 48(t0)
  lui t2, 0xc002
  lui t1, 1
  sw t1, 128(t2)
  addi t1, zero, 512
  csrrs zero, 0x104, t1
  lui s5, 0x10000
  addi t1, zero, 46
  sb t1, 0(s5)
  doze: wfi
  csrrs t1, 0x144, zero
  andi t1, t1, 512
  beq t1, zero, doze
  lui s6, 0x102
  addi s7, s6, 16
  print: lbu t1, 0(s6)
  sb t1, 0(s5)
  addi s6, s6, 1
  bne s6, s7, print`;

async function saved(cpus: number, source: string, options: Partial<MachineOptions> = {}) {
  const { promise: there, resolve } = Promise.withResolvers<void>();
  const machine = await machineOf(cpus, source, { ...options, onSerial: () => resolve() });
  const running = machine.run();
  await there;
  await delay(5);
  const chunks: Uint8Array[] = [];
  await machine.save((chunk) => void chunks.push(chunk.slice()));
  await machine.stop();
  await running;
  return openSnapshot(memorySource(new Uint8Array(Buffer.concat(chunks))));
}

async function copied(snapshot: Awaited<ReturnType<typeof saved>>) {
  const printed: number[] = [];
  const copy = await Machine.restore({ snapshot, onSerial: (bytes) => printed.push(...bytes) });
  const exit = await copy.run();
  return { id: Buffer.from(printed).toString('hex'), exit };
}

describe('a copy of a machine', () => {
  it('is told that it is one, by an id of its own', async () => {
    const snapshot = await saved(1, kernel(1, waiting()));
    const copies = [await copied(snapshot), await copied(snapshot)];
    const [one, other] = copies.map(({ id }) => id);
    assert.match(one!, /^[0-9a-f]{32}$/);
    assert.notEqual(one, other);
    assert.notEqual(one, '0'.repeat(32));
    for (const { exit } of copies) assert.deepEqual(exit, { reason: 'poweroff', code: 0 });
  });

  it('is none with the clock of instructions', async () => {
    const snapshot = await saved(1, kernel(1, waiting()), { clock: 'instructions' });
    const copy = await Machine.restore({ snapshot, onSerial: () => assert.fail('told') });
    const running = copy.run();
    await delay(50);
    await copy.stop();
    assert.deepEqual(await running, { reason: 'stopped' });
  });

  describe('with several harts', () => {
    /** Hart 1 counts at s1. */
    const counting = `
      bne s0, zero, count
      ${waiting()}
      addi a2, zero, 0
      ${powerOff('a2')}
      count: ld t1, 0(s1)
      addi t1, t1, 1
      sd t1, 0(s1)
      jal zero, count`;
    const counter = 0x8100_0000;
    let snapshot: Awaited<ReturnType<typeof saved>>;
    before(async () => {
      snapshot = await saved(2, kernel(2, counting));
    });

    /** A copy whose hart 1 is about to go on; hart 0 does not run. */
    async function startedCopy(): Promise<Board> {
      const { memorySize, cpus = 1 } = snapshot.shape;
      const options = { memorySize, cpus, fill: snapshot.fill, startTicks: snapshot.ticks };
      const copy = await Board.create(
        { ...options, clock: 'real', firmware: true, devices: [], onSerial: () => {} },
        { power: () => {}, wake: () => {}, fault: assert.fail },
      );
      devicesFromJson(copy, snapshot.devices);
      restoreHarts(copy, snapshot.hart);
      // What hart 1 needs it would have to ask this thread for.
      for (const page of [0, 0x1000]) copy.memory.readU32(0x8020_0000 + page);
      copy.memory.readU32(counter);
      copy.renew();
      await copy.crew!.start();
      return copy;
    }

    /** Whether hart 1 counts within some time. This thread does nothing else meanwhile. */
    function counts({ memory }: Board, milliseconds: number): boolean {
      const before = memory.readU64(counter);
      const end = performance.now() + milliseconds;
      while (performance.now() < end) if (memory.readU64(counter) !== before) return true;
      return false;
    }

    it('has hart 0 look into that before others go on', async ({ mock }) => {
      mock.timers.enable({ apis: ['setTimeout'] });
      const copy = await startedCopy();
      assert.equal(counts(copy, 100), false);
      copy.generation.read(0, 4);
      assert.equal(counts(copy, 20_000), true);
      await copy.stop();
    });

    it('has them wait for that also where it is taken meanwhile', async ({ mock }) => {
      mock.timers.enable({ apis: ['setTimeout'] });
      const copy = await startedCopy();
      copy.crew!.pause(copy.hart);
      copy.crew!.resume();
      assert.equal(counts(copy, 100), false);
      copy.generation.read(0, 4);
      assert.equal(counts(copy, 20_000), true);
      await copy.stop();
    });

    it('has the others go on where hart 0 cannot', async ({ mock }) => {
      mock.timers.enable({ apis: ['setTimeout'] });
      const copy = await startedCopy();
      assert.equal(counts(copy, 100), false);
      mock.timers.tick(20);
      assert.equal(counts(copy, 20_000), true);
      await copy.stop();
    });

    it('goes on as ever', async () => {
      const { id, exit } = await copied(snapshot);
      assert.match(id, /^[0-9a-f]{32}$/);
      assert.deepEqual(exit, { reason: 'poweroff', code: 0 });
    });
  });
});
