import assert from 'node:assert/strict';
import { accessSync, constants, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openBelow } from '../test/tools.ts';
import { mountFuse } from './index.ts';
import { scratchDirectory } from './scratch.fixture.ts';

function without(): string | false {
  if (process.geteuid?.() !== 0) return 'needs root to mount';
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
    return false;
  } catch {
    return 'the kernel has no /dev/fuse';
  }
}

describe('mountFuse', { skip: without() }, () => {
  it('says why it cannot mount, and keeps nothing open', async (context) => {
    const missing = join(scratchDirectory(context), 'missing');
    await assert.rejects(
      mountFuse(missing, () => []),
      { code: 'HOST_NOT_FOUND' },
    );
    const refused = mountFuse(scratchDirectory(context), () => [], { options: ['fd=99'] });
    await assert.rejects(refused, { code: 'HOST_IO' });
    assert.equal(openBelow('/dev/fuse'), 0);
  });

  it('unmounts a file system that never answers', async (context) => {
    const directory = scratchDirectory(context);
    const seen: number[] = [];
    const mount = await mountFuse(directory, (request) => {
      seen.push(request.length);
      return new Promise(() => {});
    });
    await mount.close();
    assert.equal(openBelow('/dev/fuse'), 0);
    assert.deepEqual(readdirSync(directory), []);
    assert.ok(seen[0]! >= 56, 'INIT came');
  });
});
