import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  accessSync,
  closeSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
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

/** What a descriptor of this process is open on; undefined where it is closed by now. */
function targetOf(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
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

  it('writes no late answer to what has its descriptor by then', async (context) => {
    const late = Promise.withResolvers<readonly Uint8Array[]>();
    const mount = await mountFuse(scratchDirectory(context), () => late.promise);
    const device = readdirSync('/proc/self/fd').find((fd) => targetOf(fd) === '/dev/fuse');
    await mount.close();
    const path = join(scratchDirectory(context), 'file');
    const opened: number[] = [];
    context.after(() => opened.forEach((fd) => void closeSync(fd)));
    while (!opened.includes(Number(device))) opened.push(openSync(path, 'w'));
    late.resolve([new Uint8Array(16)]);
    await turn();
    assert.equal(readFileSync(path).length, 0);
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
