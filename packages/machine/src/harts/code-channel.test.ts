import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { describe, it, type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { GuestMemory } from '../hart/guest-memory.ts';
import { MOST_GIVEN } from '../hart/jit/code-exchange.ts';
import { Machine } from '../machine.ts';
import { CodeChannel, codePorts } from './code-channel.ts';
import { HartLink } from './hart-link.ts';

/** Those of one machine's harts. */
function channels(test: TestContext, count: number): CodeChannel[] {
  const { wasm } = new GuestMemory(1 << 16, undefined, {});
  const links = Array.from({ length: count }, (_, hart) => new HartLink(wasm, hart));
  return codePorts(count).map((ports, hart) => {
    const channel = CodeChannel.open(links, hart, wasm)!;
    channel.connect(ports);
    test.after(() => channel.close());
    return channel;
  });
}

/** The smallest module. */
const module = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));

const empty = { module, lies: [] };

function takenBy(channel: CodeChannel): number {
  let taken = 0;
  while (channel.take() !== undefined) taken++;
  return taken;
}

describe('a channel between harts', () => {
  it('gives code to all others, in order', (test) => {
    const [giver, ...takers] = channels(test, 3);
    const copy = new Int32Array(new SharedArrayBuffer(4096));
    giver!.give({ module, lies: [{ entries: [2], pages: [0], copies: [copy] }] });
    giver!.give({ module, lies: [] });
    copy[7] = 1;
    for (const taker of takers) {
      const code = taker.take()!;
      assert.ok(code.module instanceof WebAssembly.Module);
      // Copies of pages are there once.
      assert.equal(code.lies[0]!.copies![0]![7], 1);
      assert.deepEqual(taker.take()!.lies, []);
      assert.equal(taker.take(), undefined);
    }
    assert.equal(giver!.take(), undefined);
  });

  it('keeps code while the loop of a hart that did not take it turns', async (test) => {
    const [giver, taker] = channels(test, 2);
    giver!.give(empty);
    for (let turn = 0; turn < 3; turn++) await setImmediate();
    assert.equal(takenBy(taker!), 1);
  });

  it('keeps so much for a hart that does not look, and goes on when it does', (test) => {
    const [giver, other, sleeper] = channels(test, 3);
    for (let round = 0; round < 2; round++) {
      for (let given = 0; given < MOST_GIVEN; given++) {
        giver!.give(empty);
        other!.give(empty);
        assert.ok(giver!.take());
        assert.ok(other!.take());
      }
      assert.equal(takenBy(sleeper!), MOST_GIVEN);
    }
  });

  it('carries nothing for a machine before it starts', async (test) => {
    const opened: string[] = [];
    const hook = createHook({ init: (_, type) => opened.push(type) }).enable();
    test.after(() => hook.disable());
    await assert.rejects(Machine.create({ kernel: Uint8Array.of(1), cpus: 2 }), {
      code: 'MACHINE_BAD_KERNEL',
    });
    assert.ok(!opened.includes('MESSAGEPORT'), `${opened}`);
  });

  it('lets one hart claim a place until it is released', (test) => {
    const [one, other] = channels(test, 2);
    assert.ok(one!.claim(0x20_0000));
    assert.ok(!other!.claim(0x20_0000));
    assert.ok(other!.claim(0x20_0002));
    other!.release(0x20_0000 + 2 * 4096);
    assert.ok(!other!.claim(0x20_0000));
    one!.release(0x20_0000);
    assert.ok(other!.claim(0x20_0000));
  });
});
