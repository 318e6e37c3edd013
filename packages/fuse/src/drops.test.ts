import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memoryOverlay } from '@anole/vfs';
import type { TreeChange } from './index.ts';
import { attrOf, join, Kernel, setattr, string, u32, u64 } from './kernel.fixture.ts';
import { AttrOut } from './layout/replies.ts';

const ENOENT = 2;
const EEXIST = 17;
const MODE = 1;
const MTIME = 32;

function change(kernel: Kernel, nodeid: number, what: Parameters<typeof setattr>[0]) {
  return attrOf(kernel.ask('SETATTR', nodeid, setattr(what)).body, AttrOut);
}

function made() {
  const tree = memoryOverlay();
  const kernel = new Kernel(tree);
  const directory = kernel.mkdir(1, 'dir');
  return { tree, kernel, directory, ino: kernel.walk('dir').attr.ino };
}

describe('names changed behind the kernel’s back', () => {
  it('are stale where the kernel was told of them, or that they are not there', () => {
    const { kernel, directory, ino } = made();
    kernel.create(directory, 'known');
    kernel.ask('LOOKUP', directory, string('absent'));
    const stale = kernel.server.changed(ino, ['known', 'absent', 'never asked for']);
    assert.deepEqual(stale, { ino, path: ['dir'], present: ['known'], absent: ['absent'] });
    assert.equal(kernel.server.changed(2 ** 45, ['x']), undefined);
  });

  it('are followed when directories move', () => {
    const { kernel, directory, ino } = made();
    const inner = kernel.mkdir(directory, 'inner');
    kernel.create(inner, 'file');
    const names = join(string('inner'), string('moved'));
    assert.equal(kernel.ask('RENAME2', directory, join(u64(1), u32(0, 0), names)).error, 0);
    const { attr } = kernel.walk('moved');
    assert.deepEqual(kernel.server.changed(attr.ino, ['file'])?.path, ['moved']);
    assert.deepEqual(kernel.server.changed(ino, ['inner'])?.present, []);
  });

  it('are dropped by the keeper’s requests, which then change nothing, and by nobody else’s', async () => {
    const { tree, kernel, directory, ino } = made();
    kernel.create(directory, 'name');
    const stale = kernel.server.changed(ino, ['name'])!;
    assert.equal(kernel.ask('MKDIR', directory, join(u32(0o755, 0), string('name'))).error, EEXIST);
    const asked = kernel.walk('dir', 'name');
    assert.equal(kernel.ask('UNLINK', directory, string('name')).error, 0);
    assert.equal(kernel.ask('RMDIR', directory, string('name')).error, 0);
    const before = kernel.walk('dir').attr.mtime;
    assert.equal(change(kernel, directory, { valid: MTIME, mtime: 1n }).mtime, before);
    assert.equal(kernel.walk('dir', 'name').nodeid, asked.nodeid);

    kernel.pid = 77;
    assert.equal(kernel.ask('UNLINK', directory, string('name')).error, 0);
    assert.equal(await (await tree.root.lookup('dir'))?.lookup('name'), undefined);
    kernel.pid = 1;
    kernel.server.dropped(stale);
    assert.equal(kernel.ask('UNLINK', directory, string('name')).error, ENOENT);
    assert.equal(change(kernel, directory, { valid: MTIME, mtime: 1n }).mtime, 1);
  });

  it('are believed to be absent in bounded number', () => {
    const { kernel, directory } = made();
    let error = 0;
    let asked = 0;
    for (; error === 0 && asked < 200_000; asked++) {
      ({ error } = kernel.ask('LOOKUP', directory, string(`n${asked}`)));
    }
    assert.equal(asked, 100_001);
    assert.equal(error, ENOENT);
  });
});

describe('who watches a server', () => {
  it('is told what the kernel changed, by paths', () => {
    const { kernel, directory } = made();
    const seen: string[] = [];
    kernel.server.observe(({ kind, path, from }: TreeChange) =>
      seen.push([kind, path.join('/'), ...(from ? [from.join('/')] : [])].join(' ')),
    );
    const created = kernel.create(directory, 'a');
    kernel.write(created, 0, new Uint8Array(5));
    change(kernel, created, { valid: MODE, mode: 0o600 });
    const names = join(string('a'), string('b'));
    kernel.ask('RENAME2', directory, join(u64(directory), u32(0, 0), names));
    kernel.write(created, 0, new Uint8Array(5));
    kernel.ask('UNLINK', directory, string('b'));
    kernel.write(created, 0, new Uint8Array(5));
    kernel.server.observe(undefined);
    kernel.create(directory, 'c');
    assert.deepEqual(seen, [
      'create dir/a',
      'write dir/a',
      'attributes dir/a',
      'rename dir/b dir/a',
      'write dir/b',
      'remove dir/b',
    ]);
  });
});
