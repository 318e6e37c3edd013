import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { copyImage, OciError, openImage, parsePlatform } from '../index.ts';
import { RawLayout, treeOf, twoLayers } from '../testing/images.ts';
import { temporary } from '../testing/tools.ts';
import { ImageStore, LayoutDirectory } from './index.ts';

describe('the store', () => {
  async function filled(test: TestContext) {
    const directory = temporary(test);
    const raw = new RawLayout(join(directory, 'raw'));
    const tars = await twoLayers();
    const one = raw.image({ layers: [{ tar: tars[0]! }] });
    const two = raw.image({ platform: 'linux/arm64', layers: tars.map((tar) => ({ tar })) });
    raw
      .name(
        raw.index([
          ['linux/riscv64', one],
          ['linux/arm64', two],
        ]),
        'all',
      )
      .name(one, 'one');
    const store = new ImageStore(join(directory, 'store'));
    return { directory, layout: new LayoutDirectory(raw.directory), store, one, two };
  }

  it('keeps what names lead to, and frees the rest', async (test) => {
    const { store, layout, one } = await filled(test);
    await copyImage(layout, store, { selector: 'all', tag: 'h.example/all:1' });
    await copyImage(layout, store, { selector: 'one', tag: 'h.example/one:1' });
    assert.equal((await store.collect()).removed, 0);
    assert.ok(await store.removeName('h.example/all:1'));
    assert.equal(await store.removeName('h.example/all:1'), false);
    const would = await store.collect({ dryRun: true });
    const did = await store.collect();
    assert.deepEqual(would, did);
    assert.ok(did.removed >= 4 && did.kept === 3);
    await treeOf(test, store, 'h.example/one:1');
    assert.deepEqual(
      (await store.list()).map(({ name, descriptor }) => [name, descriptor.digest]),
      [['h.example/one:1', one.digest]],
    );
  });

  it('keeps an index of which one platform is here', async (test) => {
    const { store, layout, two } = await filled(test);
    const arm = parsePlatform('linux/arm64');
    const options = { selector: 'all', tag: 'h.example/all:1', platform: arm, keepIndex: true };
    await copyImage(layout, store, options);
    const root = await store.resolve('h.example/all:1');
    assert.equal((await openImage(store, root, arm)).descriptor.digest, two.digest);
    await assert.rejects(openImage(store, root, parsePlatform('riscv64')), {
      code: 'OCI_NOT_FOUND',
    });
    assert.equal((await store.collect()).removed, 0);
  });

  it('is not collected while somebody holds it', async (test) => {
    const { store, layout } = await filled(test);
    const held = await store.hold();
    const also = await store.hold();
    await copyImage(layout, store, { selector: 'one' });
    await assert.rejects(store.collect({ patience: 0 }), { code: 'HOST_LOCKED' });
    held.release();
    await assert.rejects(store.collect({ patience: 0 }), { code: 'HOST_LOCKED' });
    also.release();
    assert.equal((await store.collect()).kept, 0);
  });

  it('takes nothing that is wrong, and continues what broke off', async (test) => {
    const { store } = await filled(test);
    const bytes = new Uint8Array(randomBytes(1000));
    const { descriptor } = await described(bytes);
    let broken = true;
    const starts: number[] = [];
    async function* open(start: number): AsyncGenerator<Uint8Array> {
      starts.push(start);
      yield bytes.subarray(start, 400);
      if (broken) throw new OciError('OCI_UNREACHABLE', 'Cannot go on');
      yield bytes.subarray(Math.max(start, 400));
    }
    await assert.rejects(store.putBlob(descriptor, open), { code: 'OCI_UNREACHABLE' });
    assert.equal(await store.has(descriptor), false);
    broken = false;
    await store.putBlob(descriptor, open);
    assert.deepEqual(starts, [0, 400]);
    assert.ok(await store.has(descriptor));
    async function* wrong(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(1001);
    }
    const other = { ...descriptor, digest: `sha256:${'1'.repeat(64)}` };
    await assert.rejects(store.putBlob(other, wrong), { code: 'OCI_WRONG_CONTENT' });
    assert.equal(await store.has(other), false);
  });

  async function described(bytes: Uint8Array) {
    const { describe: of } = await import('../index.ts');
    return { descriptor: await of('application/octet-stream', bytes) };
  }
});
