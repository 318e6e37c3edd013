import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SystemBus } from '../platform/bus.ts';
import { createHart } from './create.ts';
import { GUEST_PAGE, GuestMemory } from './guest-memory.ts';

const size = 0x20_0000;
const { base } = new GuestMemory(size);
const pageAt = (page: number) => base + page * GUEST_PAGE;

/** A memory in which each of these pages was written, left to the next one. */
function used(pages: readonly number[]): GuestMemory {
  const memory = new GuestMemory(size);
  for (const page of pages) memory.writable(pageAt(page), GUEST_PAGE).fill(0xaa);
  memory.release();
  return memory;
}

describe('memory of a machine that ended', () => {
  test('serves the next machine of its size, which finds nothing in it', () => {
    const { wasm } = used([0, 7, 8, 500]);
    const other = new GuestMemory(2 * size);
    assert.notEqual(other.wasm, wasm);
    const next = new GuestMemory(size);
    assert.equal(next.wasm, wasm);
    assert.deepEqual(next.takeWritten(), []);
    for (let page = 0; page < size / GUEST_PAGE; page++) {
      assert.equal(next.isTouched(page), false);
      assert.ok(next.readable(pageAt(page), GUEST_PAGE).every((byte) => byte === 0));
    }
    next.release();
  });

  test('holds nothing of guests before the last one either', () => {
    const { wasm } = used([3]);
    assert.equal(used([4]).wasm, wasm);
    const next = new GuestMemory(size, (page, target) => {
      if (page === 4) target.set([1, 2, 3]);
    });
    assert.equal(next.wasm, wasm);
    assert.ok(next.readable(pageAt(3), GUEST_PAGE).every((byte) => byte === 0));
    const filled = next.readable(pageAt(4), GUEST_PAGE);
    assert.deepEqual([...filled.subarray(0, 4)], [1, 2, 3, 0]);
    next.release();
  });

  test('is out of reach for who had it', () => {
    const memory = used([1]);
    const bad = { code: 'MACHINE_BAD_ADDRESS' };
    assert.throws(() => memory.readable(base, 1), bad);
    assert.throws(() => memory.writeU32(base, 1), bad);
    assert.equal(memory.contains(base, 1), false);
    memory.release();
    const [one, two] = [new GuestMemory(size), new GuestMemory(size)];
    assert.notEqual(one.wasm, two.wasm);
  });

  test('starts a hart afresh, and the former one touches nothing of it', async () => {
    const hartIn = (memory: GuestMemory) =>
      createHart({ memory, bus: new SystemBus(), clock: { kind: 'instructions' } });
    const first = new GuestMemory(size);
    const former = await hartIn(first);
    // addi a0, a0, 1; jal zero, -4
    first.writeU32(base, 0x00150513);
    first.writeU32(base + 4, 0xffdff06f);
    former.run(1000);
    former.release();
    first.release();
    const second = new GuestMemory(size);
    assert.equal(second.wasm, first.wasm);
    const hart = await hartIn(second);
    former.setInterrupt(11, true);
    former.writeX(11, 5n);
    former.flushTlb();
    former.run(1000);
    assert.deepEqual([hart.readX(10), hart.readX(11), hart.readCsr(0x344)], [0n, 0n, 0n]);
    assert.equal(former.readX(10), 500n);
    second.writeU32(base, 0x00150513);
    second.writeU32(base + 4, 0xffdff06f);
    hart.run(1000);
    assert.equal(hart.readX(10), 500n);
  });

  test('goes where others are kept, though nothing else makes garbage', async () => {
    const machines = 8;
    const kept = 2;
    const { promise, resolve } = Promise.withResolvers<void>();
    let gone = 0;
    const registry = new FinalizationRegistry(() => {
      if (++gone === machines - kept) resolve();
    });
    // In a function of its own, which leaves none of them on the stack.
    const leave = () => {
      const memories = Array.from({ length: machines }, () => new GuestMemory(4 * size));
      for (const memory of memories) {
        registry.register(memory.wasm, undefined);
        memory.release();
      }
    };
    leave();
    const waiting = setInterval(() => {}, 1000);
    await promise;
    clearInterval(waiting);
  });
});
