import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { AnoleError } from '@anole/bytes';
import { hostVolume } from './index.ts';
import { otherProcess, scratchDirectory } from './scratch.fixture.ts';

const file = { type: 'file', mode: 0o644, uid: 0, gid: 0 } as const;

/** Lets a directory and a link out of the volume take each other's place, over and over. */
const swap = (directory: string) => `
  import { renameSync } from 'node:fs';
  process.chdir(${JSON.stringify(directory)});
  console.log('swapping');
  for (;;) {
    renameSync('dir', 'aside');
    renameSync('link', 'dir');
    renameSync('dir', 'link');
    renameSync('aside', 'dir');
  }
`;

describe('hostVolume', () => {
  it('stays inside while a link and a directory change places', async (context) => {
    const around = scratchDirectory(context);
    const outside = join(around, 'outside');
    const inside = join(around, 'volume');
    for (const path of [outside, inside, join(inside, 'dir')]) mkdirSync(path);
    writeFileSync(join(outside, 'file'), 'outside');
    writeFileSync(join(inside, 'dir/file'), 'inside');
    symlinkSync('../outside', join(inside, 'link'));
    using volume = hostVolume(inside);
    const other = otherProcess(context, swap(inside));
    await other.said('swapping');
    const ends = new Map<string, number>();
    const enough = () => (ends.get('inside') ?? 0) > 20 && (ends.get('symlink') ?? 0) > 500;
    for (let round = 0; round < 100_000 && !enough(); round++) {
      const end = attempt(() => {
        const node = volume.root.lookup('dir');
        if (node === undefined || node instanceof Promise) return 'missing';
        try {
          if (node.stat.type !== 'directory') return node.stat.type;
          void node.create(`new${round}`, file);
          const found = node.lookup('file');
          if (found === undefined || found instanceof Promise) return 'missing';
          void found.write(0, new TextEncoder().encode('INSIDE'));
          assert.equal(Buffer.from(found.read(0, 10) as Uint8Array).toString(), 'INSIDE');
          return 'inside';
        } finally {
          node.release?.();
        }
      });
      ends.set(end, (ends.get(end) ?? 0) + 1);
    }
    other.kill();
    await other.ended;
    assert.deepEqual(readdirSync(outside), ['file']);
    assert.equal(readFileSync(join(outside, 'file'), 'latin1'), 'outside');
  });
});

function attempt(call: () => string): string {
  try {
    return call();
  } catch (error) {
    if (!AnoleError.is(error)) throw error;
    return error.code;
  }
}
