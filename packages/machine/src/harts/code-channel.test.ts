import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { GuestMemory } from '../hart/guest-memory.ts';
import { CodeChannel } from './code-channel.ts';

/** Those of one machine's harts. */
function channels(test: TestContext, count: number): CodeChannel[] {
  const name = `test ${crypto.randomUUID()}`;
  const { wasm } = new GuestMemory(1 << 16, undefined, {});
  return Array.from({ length: count }, () => {
    const channel = CodeChannel.open(name, wasm)!;
    test.after(() => channel.close());
    return channel;
  });
}

/** The smallest module. */
const module = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));

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
