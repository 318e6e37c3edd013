import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ContentStore, type PartialContent } from './content-store.ts';
import { otherProcess, scratchDirectory, smallDisk } from './scratch.fixture.ts';

const content = Buffer.alloc(300_000, 'anole');
const sha256 = createHash('sha256').update(content).digest('hex');
const size = content.length;

function writes(bytes: Uint8Array): (to: PartialContent) => Promise<void> {
  return (to) => to.write(bytes.subarray(to.length));
}

test('content is found by its hash once it is inserted, and only then', async (context) => {
  const store = new ContentStore(scratchDirectory(context));
  assert.equal(await store.find(sha256), undefined);
  const path = await store.insert(sha256, writes(content), { size });
  assert.equal(path, join(store.directory, 'sha256', sha256.slice(0, 2), sha256.slice(2)));
  assert.ok(readFileSync(path).equals(content));
  assert.equal(await store.find(sha256, size), path);
  assert.equal(await store.find(sha256, size + 1), undefined);
});

test('content that is there is not filled again', async (context) => {
  const store = new ContentStore(scratchDirectory(context));
  await store.insert(sha256, writes(content));
  await store.insert(sha256, () => assert.fail('filled twice'), { size });
});

test('content with a wrong hash or size is refused and dropped', async (context) => {
  const store = new ContentStore(scratchDirectory(context));
  const wrong = { code: 'HOST_WRONG_CONTENT' };
  const other = Buffer.alloc(size, 'other');
  await assert.rejects(store.insert(sha256, writes(other), { size }), wrong);
  await assert.rejects(store.insert(sha256, writes(content.subarray(1)), { size }), wrong);
  await assert.rejects(store.insert(sha256, writes(Buffer.alloc(size + 1)), { size }), wrong);
  await assert.rejects(store.insert('../../etc/passwd', writes(content)), wrong);
  assert.deepEqual(readdirSync(join(store.directory, 'partial')), []);
  assert.equal(await store.find(sha256), undefined);
});

test('content that broke off is continued', async (context) => {
  const store = new ContentStore(scratchDirectory(context));
  const broken = store.insert(sha256, async (to) => {
    await to.write(content.subarray(0, 1000));
    throw new DOMException('stop', 'AbortError');
  });
  await assert.rejects(broken, { name: 'AbortError' });
  await store.insert(
    sha256,
    async (to) => {
      assert.equal(to.length, 1000);
      await to.write(content.subarray(to.length));
    },
    { size },
  );
  assert.ok(readFileSync(store.pathOf(sha256)).equals(content));
});

test('content can be begun again', async (context) => {
  const store = new ContentStore(scratchDirectory(context));
  await store.insert(sha256, async (to) => {
    await to.write(Buffer.alloc(5000));
    await to.restart();
    assert.equal(to.length, 0);
    await to.write(content);
  });
  assert.ok(readFileSync(store.pathOf(sha256)).equals(content));
});

test('a partial file that is longer than the content is not used', async (context) => {
  const store = new ContentStore(scratchDirectory(context));
  mkdirSync(join(store.directory, 'partial'), { recursive: true });
  writeFileSync(join(store.directory, 'partial', sha256), Buffer.alloc(size + 1));
  await store.insert(sha256, writes(content), { size });
  assert.ok(readFileSync(store.pathOf(sha256)).equals(content));
});

test('a full disk is a coded error and leaves no partial content', async (context) => {
  const disk = smallDisk(context, 128);
  if (disk === undefined) return context.skip('mounting a small tmpfs needs root');
  const store = new ContentStore(disk);
  await assert.rejects(store.insert(sha256, writes(content), { size }), { code: 'HOST_NO_SPACE' });
  assert.deepEqual(readdirSync(join(disk, 'partial')), []);
});

const begin = `
  import { ContentStore } from './content-store.ts';
  import { Buffer } from 'node:buffer';
  const store = new ContentStore(process.env.STORE);
  await store.insert('${sha256}', async (to) => {
    await to.write(Buffer.alloc(${size}, 'anole').subarray(to.length, 70000));
    console.log('begun');
    await WAIT;
    await to.write(Buffer.alloc(${size}, 'anole').subarray(to.length));
  });
  console.log('done');`;

function inserter(directory: string, wait: string): string {
  return begin.replace('process.env.STORE', JSON.stringify(directory)).replace('WAIT', wait);
}

test('what a killed process had begun is continued by the next one', async (context) => {
  const store = new ContentStore(scratchDirectory(context));
  const forever = 'new Promise(() => setInterval(() => {}, 1000))';
  const killed = otherProcess(context, inserter(store.directory, forever));
  await killed.said('begun');
  killed.kill();
  await killed.ended;
  assert.ok(!existsSync(store.pathOf(sha256)));
  await store.insert(sha256, async (to) => {
    assert.equal(to.length, 70_000);
    await to.write(content.subarray(to.length));
  });
  assert.ok(readFileSync(store.pathOf(sha256)).equals(content));
});

test('of two processes that insert the same content, one fills and one waits', async (context) => {
  const store = new ContentStore(scratchDirectory(context));
  const wait = 'new Promise((resolve) => setTimeout(resolve, 200))';
  const other = otherProcess(context, inserter(store.directory, wait));
  await other.said('begun');
  await store.insert(sha256, () => assert.fail('filled twice'), { size });
  await other.said('done');
  assert.equal(await other.ended, 0);
  assert.ok(readFileSync(store.pathOf(sha256)).equals(content));
});
