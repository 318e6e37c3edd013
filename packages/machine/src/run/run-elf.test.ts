import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { buildElf, code } from '../platform/testing/programs.ts';
import { runElf } from './run-elf.ts';

const symbols = {
  tohost: 0x8000_1000,
  fromhost: 0x8000_1040,
  begin_signature: 0x8000_1100,
  end_signature: 0x8000_1108,
};

function program(source: string): Uint8Array {
  return buildElf({ code: code(source), symbols });
}

/** Puts the address of tohost into t0. */
const tohost = 'lui t0, 0x80001\nslli t0, t0, 32\nsrli t0, t0, 32';

describe('a bare-metal program', () => {
  it('ends with its code and leaves a signature', async () => {
    const exit = await runElf(
      program(`${tohost}
        addi t1, zero, -2
        sw t1, 256(t0)
        addi t1, zero, 85
        sd t1, 0(t0)
        end: jal zero, end`),
    );
    assert.equal(exit.code, 42);
    assert.deepEqual([...exit.signature!], [0xfe, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    assert.ok(exit.statistics.instructions >= 8);
  });

  it('prints through the serial port and ends through the power register', async () => {
    const printed: number[] = [];
    const exit = await runElf(
      program(`lui t0, 0x10000
        addi t1, zero, 65
        sb t1, 0(t0)
        lui t0, 0x100
        lui t1, 0x53
        addi t1, t1, 0x333
        sw t1, 0(t0)
        end: jal zero, end`),
      { onOutput: (bytes) => printed.push(...bytes) },
    );
    assert.deepEqual(printed, [65]);
    assert.equal(exit.code, 5);
  });

  it('ends after the same instructions with the same memory, compiled or not', async () => {
    const loop = program(`${tohost}
      lui t1, 0x40
      again: add t2, t2, t1
      addi t1, t1, -1
      bne t1, zero, again
      sd t2, 256(t0)
      addi t1, zero, 1
      sd t1, 0(t0)
      end: jal zero, end`);
    const compiling = { threshold: 1, batch: 1 };
    const exits = [false, true, compiling].map((jit) => runElf(loop, { jit }));
    const [interpreted, ...compiled] = await Promise.all(exits);
    assert.ok(interpreted!.statistics.instructions > 3 * 0x40000);
    for (const exit of compiled) {
      assert.equal(exit.statistics.instructions, interpreted!.statistics.instructions);
      assert.deepEqual(exit.signature, interpreted!.signature);
    }
  });

  it('waits for the machine timer without waiting for real', async () => {
    const exit = await runElf(
      program(`lui t1, 0x2004
        addi t2, zero, -1
        srli t2, t2, 20
        sd t2, 0(t1)
        addi t1, zero, 128
        csrrs zero, 0x304, t1
        wfi
        ${tohost}
        addi t1, zero, 1
        sd t1, 0(t0)
        end: jal zero, end`),
    );
    assert.equal(exit.code, 0);
  });

  it('that waits for nothing is told so', async () => {
    await assert.rejects(runElf(program('again: wfi\njal zero, again')), {
      code: 'MACHINE_STUCK',
    });
    const timerWithoutInterrupt = `lui t1, 0x2004
      addi t2, zero, 1000
      sd t2, 0(t1)
      again: wfi
      jal zero, again`;
    await assert.rejects(runElf(program(timerWithoutInterrupt)), { code: 'MACHINE_STUCK' });
  });

  it('that does not end meets its limit exactly', async () => {
    await assert.rejects(runElf(program('end: jal zero, end'), { maxInstructions: 12_345 }), {
      code: 'MACHINE_INSTRUCTION_LIMIT',
    });
    await assert.rejects(runElf(program('end: jal zero, end'), { maxInstructions: 0 }), {
      code: 'MACHINE_BAD_OPTION',
    });
  });

  it('can be stopped by a signal', async () => {
    const reason = new Error('enough');
    const stopping = new AbortController();
    setTimeout(() => stopping.abort(reason), 20);
    const running = runElf(program('end: jal zero, end'), { signal: stopping.signal });
    await assert.rejects(running, reason);
  });

  it('whose symbols lie outside RAM is refused', async () => {
    const bad = (changed: Record<string, number>) =>
      runElf(
        buildElf({
          code: code('lui t0, 0x100\nlui t1, 5\naddi t1, t1, 0x555\nsw t1, 0(t0)'),
          symbols: { ...symbols, ...changed },
        }),
      );
    await assert.rejects(bad({ tohost: 0x1000 }), { code: 'MACHINE_BAD_ELF' });
    await assert.rejects(bad({ tohost: 0, end_signature: 0 }), { code: 'MACHINE_BAD_ELF' });
    const { tohost: _, ...without } = symbols;
    const reversed = { ...without, end_signature: 0 };
    const elf = buildElf({
      code: code('lui t0, 0x100\nlui t1, 5\naddi t1, t1, 0x555\nsw t1, 0(t0)'),
      symbols: reversed,
    });
    await assert.rejects(runElf(elf), { code: 'MACHINE_BAD_ELF' });
  });

  it('runs the same way twice', async () => {
    const elf = program(`${tohost}
      csrrs t1, 0xc01, zero
      sd t1, 256(t0)
      addi t1, zero, 1
      sd t1, 0(t0)
      end: jal zero, end`);
    const [first, second] = [await runElf(elf), await runElf(elf)];
    assert.deepEqual(first.signature, second.signature);
    assert.equal(first.statistics.instructions, second.statistics.instructions);
  });
});
