import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { hash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { PreContentGroup } from '@anole/host/native';
import { noPreContent } from '../../host/test/tools.ts';
import { BlobCache } from '../src/node/cache/cache.ts';
import { evenChunks } from '../src/node/cache/chunks.ts';
import { scrubPart } from '../src/node/cache/scrub.ts';
import { Filler } from '../src/node/service/filler.ts';

const run = promisify(execFile);

test('a file is watched until it has all', { skip: await noPreContent() }, async (test) => {
  const directory = mkdtempSync(join(tmpdir(), 'filler-'));
  test.after(() => rmSync(directory, { recursive: true }));
  const content = randomBytes(1 << 20);
  const chunks = evenChunks(content.length, 16 * 1024);
  const blob = await new BlobCache(directory).open({
    id: 'random',
    chunks,
    verify: () => true,
    fetch: async (first, end) => content.subarray(chunks.offsetOf(first), chunks.offsetOf(end)),
  });
  let asked = 0;
  const ensure = blob.ensure.bind(blob);
  blob.ensure = (...args) => {
    asked++;
    return ensure(...args);
  };
  const filler = new Filler(new PreContentGroup(directory));
  filler.add(blob);
  filler.opened(blob);
  filler.start();
  const digest = async () => (await run('sha256sum', [blob.path])).stdout.slice(0, 64);
  await run('dd', [`if=${blob.path}`, 'of=/dev/null', 'bs=4096', 'count=1', 'skip=100']);
  assert.ok(asked > 0 && !blob.isProven);
  assert.equal(await digest(), hash('sha256', content));
  assert.ok(blob.isProven);
  const before = asked;
  assert.equal(await digest(), hash('sha256', content));
  assert.equal(asked, before, 'nobody was asked for what is there');
  assert.ok(filler.remove(blob));
  await filler.close();
  await blob.close();
});

const CHUNK = 64 * 1024;

/** A blob of 16 chunks that comes from afar, unless that is away, and who fills its file. */
async function filled(test: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'filler-'));
  test.after(() => rmSync(directory, { recursive: true }));
  const content = randomBytes(16 * CHUNK);
  const chunks = evenChunks(content.length, CHUNK);
  const far = { isAway: false };
  const blob = await new BlobCache(directory).open({
    id: 'random',
    chunks,
    verify: (index, bytes) =>
      content.subarray(chunks.offsetOf(index), chunks.offsetOf(index + 1)).equals(bytes),
    fetch: async (first, end) => {
      if (far.isAway) throw new Error('the registry is away');
      return content.subarray(chunks.offsetOf(first), chunks.offsetOf(end));
    },
  });
  const filler = new Filler(new PreContentGroup(directory));
  filler.start();
  test.after(async () => {
    await filler.close();
    await blob.close();
  });
  const damage = async (chunk: number) => {
    await run('fallocate', ['-p', '-o', `${chunk * CHUNK}`, '-l', `${CHUNK}`, blob.path]);
    await scrubPart(blob, 0, content.length);
    assert.equal(blob.holds(chunk * CHUNK, CHUNK), false);
  };
  return { content, far, blob, filler, damage };
}

/** A chunk of a file, read by another process by a descriptor that is open. */
async function readBy(file: number, chunk: number): Promise<Buffer> {
  const script = `const bytes = Buffer.alloc(${CHUNK});
    fs.readSync(0, bytes, 0, ${CHUNK}, ${chunk * CHUNK});
    fs.writeSync(1, bytes);`;
  const child = spawn(process.execPath, ['-e', script], { stdio: [file, 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  const [out, said] = await Promise.all([buffer(child.stdout!), buffer(child.stderr!)]);
  const [code] = await ended;
  if (code !== 0) throw new Error(said.toString());
  return out;
}

/** Opens a file as somebody who is told of nothing, or waits. */
function opened(test: TestContext, path: string): number {
  const file = openSync(path, 'r');
  test.after(() => closeSync(file));
  return file;
}

test('who reads what is known to be damaged, and cannot be brought again, gets an error', {
  skip: await noPreContent(),
}, async (test) => {
  const { content, far, blob, filler, damage } = await filled(test);
  filler.add(blob);
  const file = opened(test, blob.path);
  filler.opened(blob);
  const right = content.subarray(2 * CHUNK, 3 * CHUNK);
  assert.ok(right.equals(await readBy(file, 2)));
  far.isAway = true;
  await damage(2);
  await assert.rejects(readBy(file, 2), /EIO/);
  far.isAway = false;
  assert.ok(right.equals(await readBy(file, 2)));
});

test('so does who reads a file that had all, and was watched no more', {
  skip: await noPreContent(),
}, async (test) => {
  const { content, far, blob, filler, damage } = await filled(test);
  filler.add(blob);
  const first = opened(test, blob.path);
  filler.opened(blob);
  await blob.ensure(0, blob.size);
  assert.ok(blob.isProven);
  const unwatched = opened(test, blob.path);
  // Another mount of the same.
  filler.add(blob);
  const second = opened(test, blob.path);
  filler.opened(blob);
  far.isAway = true;
  await damage(5);
  for (const file of [first, second]) {
    await assert.rejects(readBy(file, 5), /EIO/);
    assert.ok(content.subarray(CHUNK, 2 * CHUNK).equals(await readBy(file, 1)));
  }
  assert.ok(Buffer.alloc(CHUNK).equals(await readBy(unwatched, 5)), 'it was not watched');
  far.isAway = false;
  for (const file of [first, second]) {
    assert.ok(content.subarray(5 * CHUNK, 6 * CHUNK).equals(await readBy(file, 5)));
  }
  assert.ok(blob.isProven);
});

test('a file may come to have all after nobody fills it any more', {
  skip: await noPreContent(),
}, async (test) => {
  const { content, blob, filler } = await filled(test);
  filler.add(blob);
  filler.opened(blob);
  await filler.close();
  await blob.ensure(0, blob.size);
  assert.ok(content.equals(await blob.read(0, blob.size)));
});

test('a file that cannot be watched is not known, and can be later', {
  skip: await noPreContent(),
}, async (test) => {
  const { blob, filler } = await filled(test);
  const mark = test.mock.method(filler.group, 'mark', () => {
    throw new Error('the kernel has no memory');
  });
  assert.throws(() => filler.add(blob), /no memory/);
  mark.mock.restore();
  filler.add(blob);
  filler.opened(blob);
  assert.ok(filler.remove(blob), 'that was the only use');
});
