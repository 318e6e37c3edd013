import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memorySource } from '@anole/bytes';
import { rawTar } from '../test/raw-tar.ts';
import { all, utf8 } from '../test/trees.ts';
import {
  findNode,
  MemoryTree,
  sliceSource,
  type Tree,
  treeFromTar,
  unpackTar,
  walk,
} from './index.ts';
import { sparseContent } from './tar/sparse-content.ts';

describe('MemoryTree', () => {
  it('lands paths through a link to a directory in its target', () => {
    const tree = new MemoryTree();
    tree.putSymlink('bin', 'usr/bin');
    tree.putFile('/bin/sh', utf8('shell'));
    assert.equal(tree.find('usr/bin/sh')?.stat.size, 5);
    assert.equal(tree.find('bin', { followSymlinks: false })?.type, 'symlink');
  });

  it('keeps links inside the tree: absolute ones begin at its root, and .. stays there', () => {
    const tree = new MemoryTree();
    tree.putFile('etc/passwd', utf8('root'));
    tree.putSymlink('a/absolute', '/etc');
    tree.putSymlink('a/climbing', '../../../../etc');
    assert.equal(tree.find('a/absolute/passwd'), tree.find('etc/passwd'));
    assert.equal(tree.find('a/climbing/passwd'), tree.find('etc/passwd'));
    assert.equal(tree.find('../../etc'), tree.find('etc'));
  });

  it('refuses links that go in circles', () => {
    const tree = new MemoryTree();
    tree.putSymlink('a', 'b');
    tree.putSymlink('b', 'a');
    assert.throws(() => tree.find('a/x'), { code: 'VFS_LOOP' });
    assert.throws(() => tree.putFile('a/x', utf8('')), { code: 'VFS_LOOP' });
    assert.equal(tree.find('a', { followSymlinks: false })?.target, 'b');
  });

  it('finds nothing behind what is no directory, or not there', () => {
    const tree = new MemoryTree();
    tree.putFile('file', utf8(''));
    tree.putSymlink('dangling', 'nowhere');
    for (const path of ['file/x', 'no', 'no/x', 'dangling', 'dangling/x']) {
      assert.equal(tree.find(path), undefined, path);
    }
    assert.equal(tree.find(''), tree.root);
    assert.equal(tree.find('/./'), tree.root);
  });

  it('lists names in the order of their bytes', () => {
    const tree = new MemoryTree();
    for (const name of ['b', 'a', 'ｚ', '😀', '\udc80', 'Z', 'ä']) tree.putFile(name, utf8(''));
    const names = tree.root.list().map(({ name }) => name);
    assert.deepEqual(names, ['Z', 'a', 'b', '\udc80', 'ä', 'ｚ', '😀']);
  });

  it('counts links of files and of directories', () => {
    const tree = new MemoryTree();
    const file = tree.putFile('a', utf8('x'));
    tree.putLink('d/b', 'a');
    assert.equal(file.stat.nlink, 2);
    assert.equal(tree.find('d/b'), file);
    tree.putFile('a', utf8('other'));
    assert.equal(file.stat.nlink, 1);
    tree.putDirectory('d/e');
    assert.equal(tree.find('d')?.stat.nlink, 3);
    tree.remove('d', { recursive: true });
    assert.equal(tree.root.stat.nlink, 2);
  });

  it('does not replace a directory by something else, nor the other way round', () => {
    const tree = new MemoryTree();
    tree.putFile('d/file', utf8(''));
    assert.throws(() => tree.putFile('d', utf8('')), { code: 'VFS_IS_DIRECTORY' });
    assert.throws(() => tree.putSymlink('/', 'x'), { code: 'VFS_IS_DIRECTORY' });
    assert.throws(() => tree.putDirectory('d/file'), { code: 'VFS_EXISTS' });
    assert.throws(() => tree.putFile('d/file/x', utf8('')), { code: 'VFS_NOT_DIRECTORY' });
    assert.throws(() => tree.putLink('e', 'd'), { code: 'VFS_NOT_PERMITTED' });
    assert.throws(() => tree.putLink('e', 'no'), { code: 'VFS_NOT_FOUND' });
    assert.throws(() => tree.putFile('d/..', utf8('')), { code: 'VFS_INVALID' });
    assert.throws(() => tree.putSymlink('e', ''), { code: 'VFS_INVALID' });
  });

  it('moves and removes names', () => {
    const tree = new MemoryTree();
    const file = tree.putFile('a/b/file', utf8('x'));
    tree.move('a/b', 'c');
    assert.equal(tree.find('c/file'), file);
    assert.throws(() => tree.move('c', 'c/inside/itself'), { code: 'VFS_INVALID' });
    assert.throws(() => tree.remove('c'), { code: 'VFS_NOT_EMPTY' });
    assert.throws(() => tree.remove('a/b'), { code: 'VFS_NOT_FOUND' });
    tree.move('c/file', 'c/file');
    tree.remove('c/file');
    tree.remove('c');
    assert.deepEqual(
      tree.root.list().map(({ name }) => name),
      ['a'],
    );
  });

  it('tells what a node is not', () => {
    const tree = new MemoryTree();
    const file = tree.putFile('file', utf8('abc'));
    assert.throws(() => tree.root.read(0, 1), { code: 'VFS_NOT_FILE' });
    assert.throws(() => file.list(), { code: 'VFS_NOT_DIRECTORY' });
    assert.throws(() => file.lookup('x'), { code: 'VFS_NOT_DIRECTORY' });
    assert.throws(() => file.readLink(), { code: 'VFS_NOT_SYMLINK' });
  });

  it('reads files short at their end only, holes as zeros', async () => {
    const tree = new MemoryTree();
    const file = tree.putFile('file', utf8('abc'));
    assert.deepEqual(await file.read(1, 9), utf8('bc'));
    assert.deepEqual(await file.read(7, 9), utf8(''));
    const extents = [
      { offset: 2, length: 2 },
      { offset: 6, length: 1 },
    ];
    const sparse = tree.putFile('sparse', sparseContent(memorySource(utf8('xyz')), extents, 8));
    assert.deepEqual(await sparse.read(0, 100), utf8('\0\0xy\0\0z\0'));
    assert.deepEqual(await sparse.read(3, 4), utf8('y\0\0z'));
    assert.deepEqual(sparse.extents(), extents);
  });

  it('gives the size of a link in bytes of its target', () => {
    const tree = new MemoryTree();
    assert.equal(tree.putSymlink('a', 'aä日😀\udcff').stat.size, 1 + 2 + 3 + 4 + 1);
  });

  it('handles trees deeper than the stack', () => {
    const tree = new MemoryTree();
    const deep = 'd/'.repeat(30_000);
    tree.putFile(`a/${deep}file`, utf8(''));
    tree.putSymlink('s', `a/${deep}`);
    tree.putFile(`s/${deep}file`, utf8(''));
    assert.throws(() => tree.move('a', 'a/b'), { code: 'VFS_INVALID' });
    tree.remove('a', { recursive: true });
    assert.equal(tree.root.list().length, 1);
  });
});

describe('findNode', () => {
  it('finds in trees that answer later what it finds in those that answer at once', async () => {
    const tree = new MemoryTree();
    tree.putSymlink('bin', 'usr/bin');
    tree.putFile('bin/sh', utf8('shell'));
    const later = delayed(tree);
    for (const [path, size] of [
      ['bin/sh', 5],
      ['/usr/./bin/../bin/sh', 5],
      ['bin/no', undefined],
    ] as const) {
      assert.equal(
        (findNode(tree, path) as { stat?: { size: number } } | undefined)?.stat?.size,
        size,
      );
      const found = findNode(later, path);
      assert.ok(found instanceof Promise);
      assert.equal((await found)?.stat.size, size);
    }
  });
});

describe('walk', () => {
  it('goes depth first in the order of names, and tells further names of a file', async () => {
    const tree = new MemoryTree();
    tree.putFile('b/x', utf8(''));
    tree.putLink('a', 'b/x');
    tree.putFile('b-c', utf8(''));
    tree.putDirectory('b/e');
    const found = (await all(walk(delayed(tree)))).map(({ path, linkTo }) => [path, linkTo]);
    assert.deepEqual(found, [
      ['', undefined],
      ['a', undefined],
      ['b', undefined],
      ['b/e', undefined],
      ['b/x', 'a'],
      ['b-c', undefined],
    ]);
  });

  it('leaves out what the filter does not want, with all that is below', async () => {
    const tree = new MemoryTree();
    tree.putFile('usr/share/doc/x/copyright', utf8(''));
    tree.putFile('usr/bin/x', utf8(''));
    const found = await all(walk(tree, { filter: (path) => path !== 'usr/share/doc' }));
    assert.deepEqual(
      found.map(({ path }) => path),
      ['', 'usr', 'usr/bin', 'usr/bin/x', 'usr/share'],
    );
  });
});

describe('unpackTar', () => {
  it('updates directories as tar does, or keeps them as dpkg does', async () => {
    const archive = rawTar(
      { name: './', type: '5' },
      { name: './bin', type: '5' },
      { name: './bin/tool', body: 'x' },
      { name: './etc', type: '5' },
    );
    const base = () => {
      const tree = new MemoryTree();
      tree.putDirectory('usr/bin');
      tree.putSymlink('bin', 'usr/bin');
      tree.putDirectory('etc', { mode: 0o700 });
      return tree;
    };
    const kept = base();
    await unpackTar(kept, memorySource(archive), { directories: 'keep' });
    assert.equal(kept.find('usr/bin/tool')?.type, 'file');
    assert.equal(kept.find('etc')?.stat.mode, 0o700);
    const updated = base();
    await unpackTar(updated, memorySource(archive));
    assert.equal(updated.find('bin', { followSymlinks: false })?.type, 'directory');
    assert.equal(updated.find('usr/bin/tool'), undefined);
    assert.equal(updated.find('etc')?.stat.mode, 0o644);
  });

  it('refuses a hard link to what is not there', async () => {
    const archive = rawTar({ name: 'a', type: '1', link: 'b' });
    await assert.rejects(treeFromTar(memorySource(archive)), { code: 'TAR_BAD_LINK' });
  });

  it('keeps contents where it is told to', async () => {
    const archive = rawTar({ name: 'a', body: 'alpha' }, { name: 'b', body: 'beta' });
    const stored: string[] = [];
    const tree = await treeFromTar(memorySource(archive), {
      filter: ({ path }) => path !== 'b',
      async store(entry) {
        stored.push(entry.path);
        return memorySource((await entry.storedBytes()).slice());
      },
    });
    assert.deepEqual(stored, ['a']);
    assert.deepEqual(await tree.find('a')?.read(0, 9), utf8('alpha'));
  });
});

/** The same tree, answering later. */
function delayed(tree: Tree): Tree {
  const later = (node: Tree['root']): Tree['root'] => ({
    stat: node.stat,
    async lookup(name) {
      const found = await node.lookup(name);
      return found && later(found);
    },
    list: async () => node.list(),
    readLink: async () => node.readLink(),
    read: async (offset, length) => node.read(offset, length),
    xattrs: async () => node.xattrs(),
  });
  return { root: later(tree.root) };
}

describe('reading into memory of the caller', () => {
  const bytes = utf8('what a file has');
  const direct = {
    ...memorySource(bytes),
    readInto: (offset: number, target: Uint8Array) =>
      target.set(bytes.subarray(offset, offset + target.length)),
  };

  for (const [name, content] of [
    ['a Source that can', direct],
    ['a part of such a Source', sliceSource(direct, 0, bytes.length)],
    ['a Source that cannot', memorySource(bytes)],
  ] as const) {
    it(`gives what there is of ${name}`, async () => {
      const node = new MemoryTree().putFile('a', content);
      const target = new Uint8Array(8);
      assert.equal(await node.readInto(7, target), 8);
      assert.deepEqual(target, bytes.subarray(7));
      assert.equal(await node.readInto(12, target), 3);
      assert.deepEqual(target.subarray(0, 3), bytes.subarray(12));
      assert.equal(await node.readInto(100, target), 0);
    });
  }

  it('refuses what lies outside of a part', () => {
    const part = sliceSource(direct, 2, 4);
    assert.throws(() => part.readInto!(2, new Uint8Array(3)), { code: 'SOURCE_OUT_OF_RANGE' });
  });
});
