import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { hash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
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

test('who reads what is known to be damaged, and cannot be brought again, gets an error', {
  skip: await noPreContent(),
}, async (test) => {
  const directory = mkdtempSync(join(tmpdir(), 'filler-'));
  test.after(() => rmSync(directory, { recursive: true }));
  const chunk = 64 * 1024;
  const content = randomBytes(16 * chunk);
  const chunks = evenChunks(content.length, chunk);
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
  filler.add(blob);
  filler.start();
  const read = async () => {
    const dd = [`if=${blob.path}`, `bs=${chunk}`, 'count=1', 'skip=2', 'iflag=direct'];
    return (await run('dd', dd, { encoding: 'buffer' })).stdout;
  };
  const right = content.subarray(2 * chunk, 3 * chunk);
  assert.ok(right.equals(await read()));
  await run('fallocate', ['-p', '-o', `${2 * chunk}`, '-l', `${chunk}`, blob.path]);
  far.isAway = true;
  await scrubPart(blob, 0, content.length);
  assert.equal(blob.holds(2 * chunk, chunk), false);
  await assert.rejects(read(), /Input\/output error/);
  far.isAway = false;
  assert.ok(right.equals(await read()));
  await filler.close();
  await blob.close();
});
