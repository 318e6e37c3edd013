import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { CompileService } from './compile-service.ts';
import { proofRegions } from './proof.ts';

const directory = mkdtempSync(join(tmpdir(), 'anole-compiler-'));
// The threads keep no process alive.
const alive = setInterval(() => {}, 1000);
after(() => {
  clearInterval(alive);
  rmSync(directory, { recursive: true });
});

let workers = 0;

/** With a thread that does something else; it has `port`, `proof`, and `proofOf`. */
function serviceOf(body: string): CompileService {
  const path = join(directory, `${workers++}.mjs`);
  const moduleOf = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href);
  const start = `
    import { receiveOrder } from ${moduleOf('../../harts/threads.ts')};
    import { proofOf } from ${moduleOf('./proof.ts')};
    const { port, proof } = await receiveOrder();
    const orders = [];
    const answer = ({ number }, busy) => port.postMessage({ number, module: undefined, busy });
    port.onmessage = ({ data }) => {`;
  writeFileSync(path, `${start} onOrder(data); };\n${body}`);
  return new CompileService(pathToFileURL(path));
}

const order = () => ({ regions: proofRegions(), fused: false });

describe('a thread that compiles', () => {
  test('makes modules, and says when it cannot', async () => {
    const service = new CompileService();
    const nonsense = { regions: Int32Array.of(1, 1, 1, 1, 0, 0, 0), fused: false };
    const [bad, good] = await Promise.all([service.compile(nonsense), service.compile(order())]);
    assert.equal(bad.module, undefined);
    assert.ok(good.module instanceof WebAssembly.Module);
  });

  test('says how long it took', async () => {
    const service = new CompileService();
    // A processor's time may be counted in ticks of some milliseconds: an order takes less.
    let busy = 0;
    while (busy === 0) busy += (await service.compile(order())).busy;
    assert.ok(busy > 0);
  });

  test('is not used where it compiles in another way than this one', async () => {
    const service = serviceOf(`
      const bytes = proofOf(proof);
      bytes[bytes.length - 1] ^= 1;
      port.postMessage(bytes);
      function onOrder(order) { answer(order, 1); }`);
    await assert.rejects(service.compile(order()), /other sources/);
    await assert.rejects(service.compile(order()), /other sources/);
  });

  test('answers by number, in any order', async () => {
    const service = serviceOf(`
      port.postMessage(proofOf(proof));
      function onOrder(order) {
        if (orders.push(order) < 2) return;
        answer({ number: 77 }, 77);
        answer(orders[1], 2);
        answer(orders[0], 1);
      }`);
    const answers = await Promise.all([service.compile(order()), service.compile(order())]);
    assert.deepEqual(
      answers.map(({ busy }) => busy),
      [1, 2],
    );
  });

  test('is started anew after it failed', async () => {
    const service = serviceOf(`
      port.postMessage(proofOf(proof));
      function onOrder(order) {
        if (!order.fused) throw new Error('no');
        answer(order, 3);
      }`);
    const failing = [service.compile(order()), service.compile(order())];
    for (const each of failing) await assert.rejects(each, /no/);
    assert.equal((await service.compile({ ...order(), fused: true })).busy, 3);
  });
});
