import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHart } from '../create.ts';
import { GuestMemory } from '../guest-memory.ts';
import { BASE, place } from '../testing.ts';
import { defaultJit } from './options.ts';

/** Alone in its file: what compiles is loaded once for a process. */
test('a hart that shares its RAM compiles in a thread that takes no turns', async () => {
  const memory = new GuestMemory(1 << 20, undefined, {});
  const hart = await createHart({
    memory,
    bus: { contains: () => false, read: () => 0, write: () => {} },
    clock: { kind: 'instructions' },
    jit: { ...defaultJit, coldThreshold: 2 * defaultJit.threshold, batch: 1 },
  });
  place({ hart, memory }, 'loop: addi x1, x1, 1\n jal x0, loop');
  hart.pc = BigInt(BASE);
  const { Module } = WebAssembly;
  let compiled = 0;
  WebAssembly.Module = new Proxy(Module, {
    construct(target, args: [BufferSource]) {
      compiled++;
      return new target(...args);
    },
  });
  try {
    hart.run(100_000);
  } finally {
    WebAssembly.Module = Module;
  }
  assert.ok(compiled > 0);
});
