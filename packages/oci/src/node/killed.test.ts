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

/** A layout with an image of some megabytes. */
async function original(directory: string): Promise<LayoutDirectory> {
  const raw = new RawLayout(directory);
  const layers: { tar: Uint8Array }[] = [];
  for (let layer = 0; layer < 4; layer++) {
    const tree = new MemoryTree();
    tree.putFile(`file-${layer}`, new Uint8Array(randomBytes(3_000_000)));
    layers.push({ tar: await tarOf(tree) });
  }
  raw.name(raw.image({ layers }), 'a');
  return new LayoutDirectory(raw.directory);
}

/** Runs code in a process of its own, which is killed so many milliseconds after it has begun. */
async function killed(
  code: string,
  after: readonly number[],
  check: () => Promise<void>,
): Promise<void> {
  const all = `
    import { copyImage } from '../index.ts';
    import { ImageStore, LayoutDirectory } from './index.ts';
    console.log('begun');
    ${code}`;
  for (const patience of after) {
    const options = ['-C', 'anole-source', '--input-type=module-typescript', '--eval', all];
    const child = spawn(process.execPath, options, {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await once(child.stdout, 'data');
    await sleep(patience);
    child.kill('SIGKILL');
    await once(child, 'close');
    await check();
  }
}

test('a process killed at any moment leaves only what is whole in the store', async (context) => {
  const directory = temporary(context);
  const from = await original(join(directory, 'raw'));
  const store = new ImageStore(join(directory, 'store'));
  const code = `
    const store = new ImageStore(${JSON.stringify(store.directory)});
    for (;;) {
      await using held = await store.hold();
      const from = new LayoutDirectory(${JSON.stringify(from.directory)});
      await copyImage(from, store, { selector: 'a', tag: 'h.example/a:1' });
      await store.removeName('h.example/a:1');
      held.release();
      await store.collect();
    }`;
  await killed(code, [0, 3, 10, 20, 35, 50, 80, 120], () => checkStore(store));
  await copyImage(from, store, { selector: 'a', tag: 'h.example/a:1' });
  await checkStore(store);
  assert.equal((await store.list()).length, 1);
});

test('and in a layout, which the next one goes on with', async (context) => {
  const directory = temporary(context);
  const from = await original(join(directory, 'raw'));
  const to = new LayoutDirectory(join(directory, 'layout'));
  const code = `
    import { renameSync, rmSync } from 'node:fs';
    const to = ${JSON.stringify(to.directory)};
    for (let count = 0; ; count++) {
      const from = new LayoutDirectory(${JSON.stringify(from.directory)});
      await copyImage(from, new LayoutDirectory(to), { selector: 'a', tag: String(count % 7) });
      if (count % 3 !== 2) continue;
      rmSync(to + '.old', { recursive: true, force: true });
      renameSync(to, to + '.old');
    }`;
  await killed(code, [3, 20, 50, 120], () => checkLayout(to.directory, to));
  await copyImage(from, to, { selector: 'a', tag: 'last' });
  await checkLayout(to.directory, to);
  assert.equal((await readGraph(to, await to.resolve('last'))).length, 1);
});

async function checkLayout(directory: string, layout: LayoutDirectory): Promise<void> {
  const blobs = join(directory, 'blobs/sha256');
  for (const name of existsSync(blobs) ? readdirSync(blobs) : []) {
    if (/^[0-9a-f]{64}$/.test(name)) assertDigest(join(blobs, name), name);
  }
  if (!existsSync(join(directory, 'index.json'))) return;
  const { manifests } = JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8'));
  for (const { digest } of manifests) {
    for (const document of await readGraph(layout, await layout.resolve(digest))) {
      for (const blob of blobsOf(document)) assert.ok(await layout.has(blob));
    }
  }
}

function assertDigest(path: string, hex: string): void {
  assert.equal(createHash('sha256').update(readFileSync(path)).digest('hex'), hex);
}

/** All content is that of its digest; all that names lead to is there. */
async function checkStore(store: ImageStore): Promise<void> {
  const base = join(store.directory, 'content/sha256');
  for (const prefix of existsSync(base) ? readdirSync(base) : []) {
    for (const rest of readdirSync(join(base, prefix))) {
      assertDigest(join(base, prefix, rest), prefix + rest);
    }
  }
  for (const { descriptor } of await store.list()) {
    for (const document of await readGraph(store, descriptor)) {
      for (const blob of blobsOf(document)) assert.ok(await store.has(blob));
    }
  }
}
