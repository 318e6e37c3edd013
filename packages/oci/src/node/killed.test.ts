import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MemoryTree } from '@anole/vfs';
import { blobsOf, copyImage, readGraph } from '../index.ts';
import { RawLayout, tarOf } from '../testing/images.ts';
import { temporary } from '../testing/tools.ts';
import { ImageStore, LayoutDirectory } from './index.ts';

test('a process killed at any moment leaves only what is whole', async (context) => {
  const directory = temporary(context);
  const raw = new RawLayout(join(directory, 'raw'));
  const layers: { tar: Uint8Array }[] = [];
  for (let layer = 0; layer < 4; layer++) {
    const tree = new MemoryTree();
    tree.putFile(`file-${layer}`, new Uint8Array(randomBytes(3_000_000)));
    layers.push({ tar: await tarOf(tree) });
  }
  raw.name(raw.image({ layers }), 'a');
  const store = new ImageStore(join(directory, 'store'));
  const code = `
    import { copyImage } from '../index.ts';
    import { ImageStore, LayoutDirectory } from './index.ts';
    const store = new ImageStore(${JSON.stringify(store.directory)});
    console.log('begun');
    for (;;) {
      await using held = await store.hold();
      const from = new LayoutDirectory(${JSON.stringify(raw.directory)});
      await copyImage(from, store, { selector: 'a', tag: 'h.example/a:1' });
      await store.removeName('h.example/a:1');
      held.release();
      await store.collect();
    }`;
  for (const patience of [0, 3, 10, 20, 35, 50, 80, 120]) {
    const options = ['-C', 'anole-source', '--input-type=module-typescript', '--eval', code];
    const child = spawn(process.execPath, options, {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await once(child.stdout, 'data');
    await sleep(patience);
    child.kill('SIGKILL');
    await once(child, 'close');
    await check(store);
  }
  const from = new LayoutDirectory(raw.directory);
  await copyImage(from, store, { selector: 'a', tag: 'h.example/a:1' });
  await check(store);
  assert.equal((await store.list()).length, 1);
});

/** All content is that of its digest; all that names lead to is there. */
async function check(store: ImageStore): Promise<void> {
  const base = join(store.directory, 'content/sha256');
  for (const prefix of existsSync(base) ? readdirSync(base) : []) {
    for (const rest of readdirSync(join(base, prefix))) {
      const bytes = readFileSync(join(base, prefix, rest));
      assert.equal(createHash('sha256').update(bytes).digest('hex'), prefix + rest);
    }
  }
  for (const { descriptor } of await store.list()) {
    for (const document of await readGraph(store, descriptor)) {
      for (const blob of blobsOf(document)) assert.ok(await store.has(blob));
    }
  }
}
