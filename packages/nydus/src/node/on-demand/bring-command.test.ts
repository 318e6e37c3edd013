import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { memorySource, type Source } from '@anole/bytes';
import { mediaTypes } from '@anole/oci';
import { BlobCache } from '../cache/cache.ts';
import { BlobPool } from './blob-pool.ts';
import { executionOf } from './bring-command.ts';

const bytes = new TextEncoder().encode(
  JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['it'] },
    rootfs: { type: 'layers', diff_ids: [] },
  }),
);
const config = {
  mediaType: mediaTypes.config,
  digest: `sha256:${hash('sha256', bytes)}`,
  size: bytes.length,
};

/** A configuration that is being read, from a pool that opens its blob when it is told to. */
function begun(test: TestContext, source: Source) {
  const directory = mkdtempSync(join(tmpdir(), 'execution-'));
  test.after(() => rmSync(directory, { recursive: true }));
  const pool = new BlobPool(new BlobCache(directory));
  const opening = Promise.withResolvers<void>();
  const open = pool.open.bind(pool);
  pool.open = async (...call) => {
    await opening.promise;
    return await open(...call);
  };
  const resources = new AsyncDisposableStack();
  const reading = executionOf(config, { source: () => source }, pool, resources);
  return { directory, resources, reading, open: opening.resolve };
}

/** Descriptors of this process for files in a directory. */
function openIn(directory: string): number {
  const all = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return [];
    }
  });
  return all.filter((path) => path.startsWith(`${directory}/`)).length;
}

describe("an image's configuration", () => {
  it('is kept as long as the image is open, also where that was open before', async (test) => {
    const { directory, resources, reading, open } = begun(test, memorySource(bytes));
    const image = resources.move();
    open();
    assert.deepEqual((await reading)?.cmd, ['it']);
    assert.ok(openIn(directory) > 0);
    await image.disposeAsync();
    assert.equal(openIn(directory), 0);
  });

  it('is not kept where the image was closed before', async (test) => {
    const { directory, resources, reading, open } = begun(test, memorySource(bytes));
    await resources.move().disposeAsync();
    open();
    assert.equal(await reading, undefined);
    assert.equal(openIn(directory), 0);
  });

  it('is not waited for when the image is closed', async (test) => {
    const asked = Promise.withResolvers<void>();
    const read: Source['read'] = (_offset, _length, { signal } = {}) => {
      asked.resolve();
      return new Promise((_, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason as Error));
      });
    };
    const { directory, resources, reading, open } = begun(test, { size: bytes.length, read });
    open();
    await asked.promise;
    await resources.disposeAsync();
    assert.equal(await reading, undefined);
    assert.equal(openIn(directory), 0);
  });
});
