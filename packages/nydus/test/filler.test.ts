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
  const filler = new Filler(new PreContentGroup(join(directory, 'bell')));
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
