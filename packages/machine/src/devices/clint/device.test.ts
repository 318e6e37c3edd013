import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Clint } from './device.ts';
import * as R from './registers.ts';

describe('the machine timer', () => {
  it('passes the comparator on in halves, and shows the time', () => {
    const hart = { mtimecmp: (1n << 64n) - 1n, time: 0x1_2345_6789n, setInterrupt() {} };
    const clint = new Clint(hart);
    clint.write(R.MTIMECMP, 4, 0x9abc_def0);
    assert.equal(hart.mtimecmp, 0xffff_ffff_9abc_def0n);
    clint.write(R.MTIMECMP + 4, 4, 0x1234_5678);
    assert.equal(hart.mtimecmp, 0x1234_5678_9abc_def0n);
    assert.equal(clint.read(R.MTIMECMP + 4, 4), 0x1234_5678);
    assert.equal(clint.read(R.MTIME, 4), 0x2345_6789);
    assert.equal(clint.read(R.MTIME + 4, 4), 1);
  });

  it('raises and clears the software interrupt', () => {
    const calls: [number, boolean][] = [];
    const clint = new Clint({
      mtimecmp: 0n,
      time: 0n,
      setInterrupt: (cause, asserted) => calls.push([cause, asserted]),
    });
    clint.write(R.MSIP, 4, 0xff);
    assert.equal(clint.read(R.MSIP, 4), 1);
    clint.write(R.MSIP, 4, 0);
    assert.deepEqual(calls, [
      [3, true],
      [3, false],
    ]);
  });
});
