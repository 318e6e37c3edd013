import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Plic } from './device.ts';
import * as R from './registers.ts';

function build() {
  const lines = [false, false];
  const plic = new Plic(
    64,
    [0, 1].map((i) => (asserted: boolean) => {
      lines[i] = asserted;
    }),
  );
  const enable = (context: number, source: number) => {
    const at = R.ENABLE + context * R.ENABLE_STRIDE + (source >>> 5) * 4;
    plic.write(at, 4, plic.read(at, 4) | (1 << (source & 31)));
  };
  const claimAt = (context: number) => R.CONTEXT + context * R.CONTEXT_STRIDE + R.CLAIM;
  return {
    plic,
    lines,
    enable,
    priority: (source: number, value: number) => plic.write(R.PRIORITY + source * 4, 4, value),
    threshold: (context: number, value: number) =>
      plic.write(R.CONTEXT + context * R.CONTEXT_STRIDE, 4, value),
    claim: (context: number) => plic.read(claimAt(context), 4),
    complete: (context: number, source: number) => plic.write(claimAt(context), 4, source),
  };
}

describe('the interrupt controller', () => {
  it('interrupts the contexts that enabled a source, until it is claimed', () => {
    const { plic, lines, enable, priority, claim } = build();
    priority(40, 1);
    enable(1, 40);
    plic.setLevel(40, true);
    assert.deepEqual(lines, [false, true]);
    assert.equal(plic.read(R.PENDING + 4, 4), 1 << 8);
    assert.equal(claim(0), 0);
    assert.equal(claim(1), 40);
    assert.deepEqual(lines, [false, false]);
    assert.equal(claim(1), 0);
  });

  it('interrupts again after completion while the line is up', () => {
    const { plic, lines, enable, priority, claim, complete } = build();
    priority(3, 1);
    enable(0, 3);
    plic.setLevel(3, true);
    claim(0);
    plic.setLevel(3, true);
    assert.deepEqual(lines, [false, false]);
    complete(0, 3);
    assert.deepEqual(lines, [true, false]);
    claim(0);
    plic.setLevel(3, false);
    complete(0, 3);
    assert.deepEqual(lines, [false, false]);
  });

  it('gives the highest priority first, then the lowest number', () => {
    const { plic, enable, priority, claim } = build();
    for (const [source, value] of [
      [5, 1],
      [9, 3],
      [7, 3],
    ] as const) {
      priority(source, value);
      enable(0, source);
      plic.setLevel(source, true);
    }
    assert.deepEqual([claim(0), claim(0), claim(0), claim(0)], [7, 9, 5, 0]);
  });

  it('holds back what is not above the threshold, or has priority 0', () => {
    const { plic, lines, enable, priority, threshold } = build();
    enable(0, 5);
    plic.setLevel(5, true);
    assert.equal(lines[0], false);
    priority(5, 2);
    assert.equal(lines[0], true);
    threshold(0, 2);
    assert.equal(lines[0], false);
    threshold(0, 1);
    assert.equal(lines[0], true);
  });

  it('ignores a completion from a context that did not enable the source', () => {
    const { plic, lines, enable, priority, claim, complete } = build();
    priority(5, 1);
    enable(0, 5);
    plic.setLevel(5, true);
    claim(0);
    complete(1, 5);
    assert.equal(lines[0], false);
  });

  it('has no source 0 and no registers behind its own', () => {
    const { plic } = build();
    plic.write(R.PRIORITY, 4, 7);
    plic.write(R.ENABLE, 4, 0xffff_ffff);
    assert.equal(plic.read(R.PRIORITY, 4), 0);
    assert.equal(plic.read(R.ENABLE, 4), 0xffff_fffe);
    for (const offset of [R.PENDING - 4, R.ENABLE - 4, R.CONTEXT - 4, 0x5f_fffc]) {
      plic.write(offset, 4, 0xffff_ffff);
      assert.equal(plic.read(offset, 4), 0);
    }
  });
});
