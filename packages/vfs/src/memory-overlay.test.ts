import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Awaitable } from '@anole/bytes';
import fc from 'fast-check';
import { MemoryTree, memoryOverlay, type Tree, type TreeNode, type WritableNode } from './index.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const file = { type: 'file', mode: 0o644, uid: 0, gid: 0 } as const;
const directory = { ...file, type: 'directory', mode: 0o755 } as const;
const CHUNK = 16384;

function now<T>(value: Awaitable<T>): T {
  assert.ok(!(value instanceof Promise), 'the answer is there at once');
  return value;
}

function text(value: Awaitable<Uint8Array>): string {
  return decoder.decode(now(value));
}

function child(parent: WritableNode, name: string): WritableNode {
  const node = now(parent.lookup(name));
  assert.ok(node, `${name} is there`);
  return node;
}

function names(node: TreeNode): string[] {
  return now(node.list()).map(({ name }) => name);
}

/** A file whose reads are counted, so that a test sees how much of it is copied up. */
function lowerTree(content: Uint8Array) {
  const lower = new MemoryTree();
  const reads: number[] = [];
  const source = {
    size: content.length,
    read(offset: number, length: number) {
      reads.push(length);
      return content.subarray(offset, offset + length);
    },
  };
  lower.putFile('dir/file', source);
  lower.putLink('dir/second', 'dir/file');
  lower.putFile('dir/other', encoder.encode('other'));
  lower.putSymlink('link', 'dir/file');
  return { lower, reads };
}

/** The same tree, every answer of which comes a turn later. */
function slow(tree: Tree): Tree {
  const wrap = (node: TreeNode): TreeNode => ({
    stat: node.stat,
    lookup: async (name) => {
      await turn();
      const found = await node.lookup(name);
      return found && wrap(found);
    },
    list: async () => turn().then(() => node.list()),
    readLink: async () => turn().then(() => node.readLink()),
    read: async (offset, length) => turn().then(() => node.read(offset, length)),
    xattrs: async () => turn().then(() => node.xattrs()),
  });
  return { root: wrap(tree.root) };
}

describe('memoryOverlay', () => {
  it('copies up only the chunks that are written, and keeps the ino', () => {
    const { lower, reads } = lowerTree(new Uint8Array(1_000_000).fill(65));
    const { root } = memoryOverlay(lower);
    const node = child(child(root, 'dir'), 'file');
    const { ino } = node.stat;
    now(node.write(500_000, encoder.encode('xyz')));
    assert.deepEqual(reads, [CHUNK]);
    assert.equal(text(node.read(499_998, 7)), 'AAxyzAA');
    assert.equal(node.stat.size, 1_000_000);
    assert.equal(child(child(root, 'dir'), 'file').stat.ino, ino);
  });

  it('reads a file into memory as the lower tree does, until it is changed', () => {
    const { lower } = lowerTree(encoder.encode('0123456789'));
    const node = child(child(memoryOverlay(lower).root, 'dir'), 'file');
    const target = new Uint8Array(4);
    assert.equal(now(node.readInto!(8, target)), 2);
    assert.equal(decoder.decode(target.subarray(0, 2)), '89');
    now(node.write(8, encoder.encode('x')));
    assert.equal(node.readInto, undefined);
    assert.equal(text(node.read(8, 4)), 'x9');
  });

  it('does not read what it overwrites', () => {
    const { lower, reads } = lowerTree(new Uint8Array(4 * CHUNK).fill(65));
    const { root } = memoryOverlay(lower);
    now(child(child(root, 'dir'), 'file').write(CHUNK, new Uint8Array(2 * CHUNK)));
    assert.deepEqual(reads, []);
  });

  it('lets the names of a lower hard link meet in one file', () => {
    const { root } = memoryOverlay(lowerTree(encoder.encode('content')).lower);
    const dir = child(root, 'dir');
    now(child(dir, 'file').write(0, encoder.encode('CON')));
    assert.equal(text(child(dir, 'second').read(0, 10)), 'CONtent');
    now(dir.unlink('file'));
    assert.equal(child(dir, 'second').stat.nlink, 1);
    assert.equal(text(child(dir, 'second').read(0, 10)), 'CONtent');
  });

  it('hides lower names that are removed, and lists new ones last', () => {
    const { root } = memoryOverlay(lowerTree(encoder.encode('content')).lower);
    const dir = child(root, 'dir');
    now(dir.unlink('file'));
    now(dir.create('new', file));
    now(dir.create('file', file));
    assert.deepEqual(names(dir), ['other', 'second', 'new', 'file']);
    assert.equal(child(dir, 'file').stat.size, 0);
    for (const name of names(dir)) now(dir.unlink(name));
    now(root.removeDirectory('dir'));
    assert.deepEqual(names(root), ['link']);
    now(root.create('dir', directory));
    assert.deepEqual(names(child(root, 'dir')), [], 'a new directory does not show the lower one');
  });

  it('moves a lower directory with all that is in it', () => {
    const { root } = memoryOverlay(lowerTree(encoder.encode('content')).lower);
    now(root.create('to', directory));
    now(root.rename('dir', child(root, 'to'), 'moved'));
    assert.deepEqual(names(root), ['link', 'to']);
    const moved = child(child(root, 'to'), 'moved');
    assert.equal(text(child(moved, 'second').read(0, 10)), 'content');
    assert.equal(child(root, 'to').stat.nlink, 3);
    assert.throws(() => root.rename('to', moved, 'loop'), { code: 'VFS_INVALID' });
  });

  it('exchanges two names, and refuses where one is missing', () => {
    const { root } = memoryOverlay(lowerTree(encoder.encode('content')).lower);
    now(root.rename('dir', root, 'link', { exchange: true }));
    assert.equal(child(root, 'dir').stat.type, 'symlink');
    assert.equal(text(child(child(root, 'link'), 'other').read(0, 10)), 'other');
    const refused = { code: 'VFS_NOT_FOUND' };
    assert.throws(() => root.rename('dir', root, 'none', { exchange: true }), refused);
    const occupied = { code: 'VFS_EXISTS' };
    assert.throws(() => root.rename('dir', root, 'link', { noReplace: true }), occupied);
  });

  it('keeps the data of a file without names until it is released', () => {
    const tree = memoryOverlay();
    const { root } = tree;
    now(root.create('first', file));
    const before = now(tree.usage()).freeBlocks;
    const node = now(root.create('file', file));
    now(node.write(0, new Uint8Array(1_000_000).fill(66)));
    now(root.unlink('file'));
    assert.equal(node.stat.nlink, 0);
    assert.equal(text(node.read(999_999, 10)), 'B');
    assert.ok(now(tree.usage()).freeBlocks < before - 240);
    node.release?.();
    assert.equal(now(tree.usage()).freeBlocks, before);
  });

  it('gives an unnamed file a name', () => {
    const { root } = memoryOverlay();
    const node = now(root.createUnnamed!(file));
    now(node.write(0, encoder.encode('unnamed')));
    assert.equal(node.stat.nlink, 0);
    now(root.link('named', node));
    assert.equal(text(child(root, 'named').read(0, 10)), 'unnamed');
    assert.equal(node.stat.nlink, 1);
  });

  it('stays within its bounds, and can always remove', () => {
    const { lower } = lowerTree(new Uint8Array(100_000));
    const tree = memoryOverlay(lower, { maxBytes: 100_000 });
    const dir = child(tree.root, 'dir');
    const full = { code: 'VFS_NO_SPACE' };
    const node = now(dir.create('big', file));
    assert.throws(() => node.write(0, new Uint8Array(100_000)), full);
    assert.equal(node.stat.size, 0, 'a write that failed leaves nothing');
    now(node.write(0, new Uint8Array(90_000)));
    assert.throws(() => {
      for (let index = 0; ; index++) dir.create(`small${index}`, file);
    }, full);
    assert.throws(() => node.setXattr('user.x', new Uint8Array(60_000)), full);
    assert.equal(now(tree.usage()).freeBlocks, 0);
    for (const name of names(dir)) {
      const gone = child(dir, name);
      now(dir.unlink(name));
      gone.release?.();
    }
    now(now(dir.create('again', file)).write(0, new Uint8Array(80_000)));
  });

  it('keeps holes, finds data, and punches', () => {
    const { lower } = lowerTree(new Uint8Array(10 * CHUNK).fill(65));
    const { root } = memoryOverlay(lower);
    const node = child(child(root, 'dir'), 'file');
    now(node.punchHole(CHUNK + 10, 3 * CHUNK));
    assert.deepEqual(now(node.extents!()), [
      { offset: 0, length: 2 * CHUNK },
      { offset: 4 * CHUNK, length: 6 * CHUNK },
    ]);
    assert.equal(text(node.read(CHUNK + 8, 4)), 'AA\0\0');
    assert.equal(text(node.read(4 * CHUNK + 8, 4)), '\0\0AA');
    now(node.punchHole(8 * CHUNK, 1e12));
    assert.equal(node.stat.size, 10 * CHUNK);
    assert.equal(text(node.read(8 * CHUNK - 2, 4)), 'AA\0\0');
    const sparse = now(root.create('sparse', file));
    now(sparse.change({ size: 2 ** 45 }));
    now(sparse.write(2 ** 40, encoder.encode('far')));
    assert.equal(sparse.stat.allocated, 3);
    assert.deepEqual(now(sparse.extents!()), [{ offset: 2 ** 40, length: 3 }]);
    assert.throws(() => sparse.change({ size: 2 ** 60 }), { code: 'VFS_TOO_LARGE' });
  });

  it('shows zeros where a file was cut and grown again', () => {
    const { root } = memoryOverlay(lowerTree(new Uint8Array(3 * CHUNK).fill(65)).lower);
    const node = child(child(root, 'dir'), 'file');
    now(node.change({ size: CHUNK + 2 }));
    now(node.change({ size: 3 * CHUNK }));
    assert.equal(text(node.read(CHUNK, 4)), 'AA\0\0');
    assert.equal(text(node.read(2 * CHUNK, 2)), '\0\0');
    now(node.write(0, new Uint8Array(10).fill(66)));
    now(node.change({ size: 5 }));
    now(node.change({ size: 20 }));
    assert.equal(text(node.read(3, 4)), 'BB\0\0');
  });

  it('copies attributes up when one is changed', () => {
    const lower = new MemoryTree();
    const attributes = { xattrs: new Map([['user.a', encoder.encode('1')]]) };
    lower.putFile('file', new Uint8Array(0), attributes);
    const node = child(memoryOverlay(lower).root, 'file');
    now(node.setXattr('user.b', encoder.encode('2')));
    assert.throws(() => node.setXattr('user.a', encoder.encode('3'), 'create'), {
      code: 'VFS_EXISTS',
    });
    assert.throws(() => node.setXattr('user.c', encoder.encode('3'), 'replace'), {
      code: 'VFS_NO_XATTR',
    });
    now(node.removeXattr('user.a'));
    assert.throws(() => node.removeXattr('user.a'), { code: 'VFS_NO_XATTR' });
    assert.deepEqual([...now(node.xattrs()).keys()], ['user.b']);
    assert.equal(lower.find('file')?.stat.mtime, node.stat.mtime, 'data did not change');
  });

  it('sets the times that POSIX asks for', () => {
    let seconds = 1000;
    const clock = () => ({ seconds: seconds++, nanoseconds: 5 });
    const { root } = memoryOverlay(undefined, { now: clock });
    const node = now(root.create('file', file));
    const made = node.stat;
    const { mtime } = root.stat;
    now(node.change({ mode: 0o600 }));
    assert.deepEqual(node.stat.mtime, made.mtime);
    assert.ok(node.stat.ctime!.seconds > made.ctime!.seconds);
    now(node.write(0, encoder.encode('x')));
    assert.ok(node.stat.mtime.seconds > made.mtime.seconds);
    assert.deepEqual(root.stat.mtime, mtime, 'a write does not change the directory');
    now(node.change({ mtime: { seconds: 1, nanoseconds: 2 } }));
    assert.deepEqual(node.stat.mtime, { seconds: 1, nanoseconds: 2 });
    now(root.link('second', node));
    assert.ok(root.stat.mtime.seconds > mtime.seconds);
  });

  it('refuses names that are none', () => {
    const { root } = memoryOverlay();
    for (const name of ['', '.', '..', 'a/b', 'nul\0']) {
      assert.throws(() => root.create(name, file), { code: 'VFS_INVALID' });
    }
    assert.throws(() => root.create('ä'.repeat(128), file), { code: 'VFS_NAME_TOO_LONG' });
    now(root.create('ä'.repeat(127), file));
  });

  it('makes nothing in a directory that was removed', () => {
    const { root } = memoryOverlay();
    const gone = now(root.create('gone', directory));
    now(root.create('file', file));
    now(root.removeDirectory('gone'));
    assert.throws(() => gone.create('x', file), { code: 'VFS_NOT_FOUND' });
    assert.throws(() => root.rename('file', gone, 'x'), { code: 'VFS_NOT_FOUND' });
    assert.deepEqual(names(gone), []);
  });

  it('gives one of two that make the same name at once the name, over a slow tree', async () => {
    const { lower } = lowerTree(encoder.encode('content'));
    const { root } = memoryOverlay(slow(lower));
    const results = await Promise.allSettled([
      root.create('new', file),
      root.create('new', directory),
      root.unlink('link'),
      root.unlink('link'),
    ]);
    const codes = results.map((one) => (one.status === 'fulfilled' ? 'done' : one.reason.code));
    assert.deepEqual(codes, ['done', 'VFS_EXISTS', 'done', 'VFS_NOT_FOUND']);
    assert.deepEqual(
      (await root.list()).map(({ name }) => name),
      ['dir', 'new'],
    );
  });

  it('keeps all of many writes at once to one chunk of a slow file', async () => {
    const { lower } = lowerTree(new Uint8Array(CHUNK).fill(65));
    const { root } = memoryOverlay(slow(lower));
    const node = (await (await root.lookup('dir'))?.lookup('file'))!;
    await Promise.all([1, 2, 3].map(async (at) => node.write(at * 10, encoder.encode('x'))));
    const bytes = await node.read(0, 40);
    assert.equal(decoder.decode(bytes).replace(/A/g, ''), 'xxx');
  });

  it('holds of a file what a plain array would, whatever is done to it', () => {
    const at = fc.nat(5 * CHUNK);
    const change = fc.oneof(
      fc.record({ write: at, length: fc.oneof(fc.nat(100), fc.nat(3 * CHUNK)) }),
      fc.record({ punch: at, length: fc.nat(3 * CHUNK) }),
      fc.record({ resize: at }),
    );
    fc.assert(
      fc.property(fc.nat(4 * CHUNK), fc.array(change, { maxLength: 12 }), (size, changes) => {
        const content = Uint8Array.from({ length: size }, (_, index) => (index % 251) + 1);
        const node = child(child(memoryOverlay(lowerTree(content).lower).root, 'dir'), 'file');
        let model = content;
        changes.forEach((one, index) => {
          if ('resize' in one) {
            now(node.change({ size: one.resize }));
            model = resized(model, one.resize);
          } else if ('punch' in one) {
            now(node.punchHole(one.punch, one.length));
            model = model.slice().fill(0, one.punch, one.punch + one.length);
          } else {
            const bytes = new Uint8Array(one.length).fill(index + 100);
            now(node.write(one.write, bytes));
            const end = one.length === 0 ? 0 : one.write + one.length;
            model = resized(model, Math.max(model.length, end));
            if (end > 0) model.set(bytes, one.write);
          }
        });
        assert.equal(node.stat.size, model.length);
        assert.deepEqual(Buffer.from(now(node.read(0, model.length + 9))), Buffer.from(model));
        let covered = 0;
        for (const { offset, length } of now(node.extents!())) {
          assert.ok(offset >= covered && length > 0);
          assert.ok(model.subarray(covered, offset).every((byte) => byte === 0));
          covered = offset + length;
        }
        assert.ok(covered <= model.length);
        assert.ok(model.subarray(covered).every((byte) => byte === 0));
      }),
      { numRuns: 300, seed: 45 },
    );
  });
});

function resized(bytes: Uint8Array<ArrayBuffer>, size: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(size);
  out.set(bytes.subarray(0, size));
  return out;
}
