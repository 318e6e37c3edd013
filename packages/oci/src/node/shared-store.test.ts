import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { RawLayout, twoLayers } from '../testing/images.ts';
import { temporary } from '../testing/tools.ts';
import { ImageStore } from './index.ts';

/** Runs code in a process of its own; gives what it printed. */
async function apart(code: string): Promise<string> {
  const all = `
    import { existsSync, writeFileSync } from 'node:fs';
    import { setTimeout as sleep } from 'node:timers/promises';
    import { blobsOf, copyImage, readBlob, readGraph } from '../index.ts';
    import { ImageStore, LayoutDirectory } from './index.ts';
    ${code}`;
  const options = ['-C', 'anole-source', '--input-type=module-typescript', '--eval', all];
  const child = spawn(process.execPath, options, { cwd: import.meta.dirname });
  const [said, complaints, status] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise((resolve) => child.on('close', resolve)),
  ]);
  assert.equal(status, 0, complaints);
  return said;
}

test('processes that copy, remove and collect at once never lose what has a name', async (context) => {
  const directory = temporary(context);
  const raw = new RawLayout(join(directory, 'raw'));
  raw.name(raw.image({ layers: (await twoLayers()).map((tar) => ({ tar })) }), 'a');
  const store = new ImageStore(join(directory, 'store'));
  const opened = `
    const store = new ImageStore(${JSON.stringify(store.directory)});
    const from = new LayoutDirectory(${JSON.stringify(raw.directory)});`;
  // Copiers go on until the collector, whenever it got to start, has found its five.
  const ended = join(directory, 'ended');
  // The same content by two names: what one drops, the other is about to find there.
  const copier = (name: string) => `${opened}
    const whole = async () => {
      for (const document of await readGraph(store, await store.resolve(${JSON.stringify(name)}))) {
        for (const blob of blobsOf(document)) await readBlob(store, blob, 1e9);
      }
    };
    let copied = 0;
    for (let round = 0; round < 25 || !existsSync(${JSON.stringify(ended)}); round++) {
      const begun = performance.now();
      {
        await using _held = await store.hold();
        const report = await copyImage(from, store, { selector: 'a', tag: ${JSON.stringify(name)} });
        copied += report.copied > 0 ? 1 : 0;
      }
      // As long as it held, however slow this computer is, so that the collector gets its turn.
      await sleep(performance.now() - begun + (round % 3));
      // Held or not: it has a name.
      await whole();
      await store.removeName(${JSON.stringify(name)});
      await sleep(round % 4);
    }
    console.log(copied);`;
  const collector = `${opened}
    let freed = 0;
    try {
      for (const end = Date.now() + 600_000; freed < 5 && Date.now() < end; ) {
        const { removed } = await store.collect({ patience: 600_000 });
        freed += removed > 0 ? 1 : 0;
        await sleep(5);
      }
    } finally {
      writeFileSync(${JSON.stringify(ended)}, '');
    }
    console.log(freed);`;
  const names = ['h.example/a:1', 'h.example/b:1'];
  const [freed, ...copied] = await Promise.all([
    apart(collector),
    ...names.map((name) => apart(copier(name))),
  ]);
  assert.equal(Number(freed), 5, 'collected too little');
  assert.ok(copied.reduce((sum, each) => sum + Number(each), 0) >= 5, 'nothing was copied anew');
  assert.deepEqual(await store.list(), []);
  assert.equal((await store.collect()).kept, 0);
});
