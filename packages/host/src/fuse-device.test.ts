import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openBelow } from '../test/tools.ts';
import { mountFuse } from './index.ts';
import { hasNative } from './native/index.ts';
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

  it('does not keep a process from ending that serves', {
    skip: hasNative() ? false : 'needs koffi: without it, a thread waits in reading the device',
  }, async (context) => {
    const directory = scratchDirectory(context);
    const script = join(scratchDirectory(context), 'serves.ts');
    const host = JSON.stringify(import.meta.resolve('./index.ts'));
    writeFileSync(
      script,
      `import { mountFuse } from ${host};
await mountFuse(${JSON.stringify(directory)}, () => new Promise(() => {}));
setTimeout(() => process.exit(7), 100);`,
    );
    const { status } = spawnSync(process.execPath, ['-C', 'anole-source', script], {
      timeout: 60_000,
      killSignal: 'SIGKILL',
    });
    spawnSync('umount', ['--lazy', directory]);
    assert.equal(status, 7);
  });
});
