import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { describeDifferences, MemoryTree, overlay, type Tree } from '@anole/vfs';
import { sampleTree, utf8 } from '../test/sample.ts';
import { needs, temporary } from '../test/tools.ts';
import { hostTree, unpackTree } from './index.ts';
import { hasNative } from './native/koffi.ts';

/** Node alone sets times to the microsecond. */
const exact = hasNative() ? {} : ({ times: 'microseconds' } as const);

describe('unpackTree', () => {
  it('writes a tree so that it reads back the same, as root', {
    skip: needs('root', 'attributes'),
  }, async (test) => {
    const goal = join(temporary(test), 'goal');
    const tree = sampleTree({ root: true });
    const report = await unpackTree(tree, goal);
    assert.deepEqual(report.skipped, []);
    assert.equal(report.owners, true);
    using written = hostTree(goal, { xattrs: true });
    assert.equal(await describeDifferences(tree, written, exact), '');
  });

  it('writes all but owners for any user', { skip: needs('attributes') }, async (test) => {
    const goal = join(temporary(test), 'goal');
    const tree = sampleTree({ root: false });
    const report = await unpackTree(tree, goal, { owners: false });
    assert.deepEqual(report.skipped, []);
    assert.equal(report.owners, false);
    using written = hostTree(goal, { xattrs: true });
    assert.equal(await describeDifferences(tree, written, exact), '');
  });

  it('gives files their modes whatever the umask takes', { skip: needs('root') }, async (test) => {
    const goal = join(temporary(test), 'goal');
    const tree = new MemoryTree();
    const modes = [0, 0o400, 0o600, 0o644, 0o4755];
    for (const mode of modes) {
      tree.putFile(`small-${mode}`, utf8('some'), { mode });
      tree.putFile(`large-${mode}`, new Uint8Array(3_000_000), { mode });
    }
    const before = process.umask(0o277);
    test.after(() => process.umask(before));
    await unpackTree(tree, goal);
    for (const mode of modes) {
      for (const size of ['small', 'large']) {
        assert.equal(statSync(join(goal, `${size}-${mode}`)).mode & 0o7777, mode, size);
      }
    }
  });

  it('leaves holes as holes', async (test) => {
    const goal = join(temporary(test), 'goal');
    const report = await unpackTree(sampleTree({ root: false }), goal, { owners: false });
    const { size, blocks } = statSync(join(goal, 'holes'));
    assert.equal(size, 5_000_000);
    assert.ok(blocks * 512 < 1_000_000, `${blocks} blocks`);
    assert.ok(report.bytes < 3_100_000);
  });

  it('keeps hard links', async (test) => {
    const goal = join(temporary(test), 'goal');
    await unpackTree(sampleTree({ root: false }), goal, { owners: false });
    assert.equal(
      statSync(join(goal, 'usr/bin/tool')).ino,
      statSync(join(goal, 'usr/bin/also')).ino,
    );
    assert.equal(readlinkSync(join(goal, 'outside')), '/etc');
  });

  it('fills a directory that is empty, and leaves others alone', async (test) => {
    const base = temporary(test);
    mkdirSync(join(base, 'empty'));
    await unpackTree(small(), join(base, 'empty'));
    mkdirSync(join(base, 'full'));
    writeFileSync(join(base, 'full/file'), '');
    await assert.rejects(unpackTree(small(), join(base, 'full')), { code: 'HOST_EXISTS' });
    await assert.rejects(unpackTree(small(), join(base, 'full/file')), { code: 'HOST_EXISTS' });
    await assert.rejects(unpackTree(small(), join(base, 'no/goal')), { code: 'HOST_NOT_FOUND' });
    assert.deepEqual(readdirSync(base).sort(), ['empty', 'full']);
    assert.deepEqual(readdirSync(join(base, 'full')), ['file']);
  });

  it('leaves nothing behind where it fails or is stopped', async (test) => {
    const base = temporary(test);
    const tree = sampleTree({ root: false });
    tree.putFile('zzz', { size: 10, read: () => new Uint8Array(0) });
    await assert.rejects(unpackTree(tree, join(base, 'goal')), { code: 'VFS_IO' });
    const stopping = new AbortController();
    const stopped = unpackTree(sampleTree({ root: false }), join(base, 'goal'), {
      signal: stopping.signal,
      owners: false,
    });
    stopping.abort();
    await assert.rejects(stopped, { name: 'AbortError' });
    assert.deepEqual(readdirSync(base), []);
  });

  it('refuses names that lead elsewhere', async (test) => {
    const base = temporary(test);
    for (const name of ['..', '../escaped', 'a/../../escaped', '/etc/escaped', '', '.']) {
      await assert.rejects(
        unpackTree(withName(name), join(base, 'goal')),
        { code: 'VFS_INVALID' },
        name,
      );
    }
    assert.deepEqual(readdirSync(base), []);
  });

  it('refuses a tree in which a link becomes a directory', async (test) => {
    const base = temporary(test);
    mkdirSync(join(base, 'outside'));
    const low = new MemoryTree();
    low.putSymlink('d', join(base, 'outside'));
    const high = new MemoryTree();
    high.putFile('d/escaped', utf8('x'));
    let asked = 0;
    const honest = overlay([low, high]).root;
    const turning: Tree = {
      root: {
        ...methods(honest),
        list: () => [
          { name: 'd', type: 'symlink', ino: 2 },
          { name: 'd', type: 'directory', ino: 3 },
        ],
        lookup: (name) => (asked++ === 0 ? low : high).root.lookup(name),
      },
    };
    await assert.rejects(unpackTree(turning, join(base, 'goal')), { code: 'HOST_EXISTS' });
    assert.deepEqual(readdirSync(join(base, 'outside')), []);
  });

  it('says which parts it had to leave out', async (test) => {
    const tree = small();
    tree.putSpecial('socket', 'socket');
    tree.putLink('same', 'socket');
    const report = await unpackTree(tree, join(temporary(test), 'goal'));
    assert.deepEqual(
      report.skipped.map(({ path }) => path),
      ['same', 'socket'],
    );
  });
});

function small(): MemoryTree {
  const tree = new MemoryTree();
  tree.putFile('file', utf8('content'));
  return tree;
}

function methods(root: Tree['root']): Tree['root'] {
  return {
    stat: root.stat,
    lookup: (name) => root.lookup(name),
    list: () => root.list(),
    readLink: () => root.readLink(),
    read: (offset, length) => root.read(offset, length),
    xattrs: () => root.xattrs(),
  };
}

/** A tree that says its one file is called so. */
function withName(name: string): Tree {
  const tree = small();
  return {
    root: {
      ...methods(tree.root),
      list: () => [{ name, type: 'file', ino: 2 }],
      lookup: () => tree.find('file'),
    },
  };
}
