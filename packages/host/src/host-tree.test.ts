import assert from 'node:assert/strict';
import {
  appendFileSync,
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { describeDifferences, findNode, walk } from '@anole/vfs';
import { needs, openBelow, run, temporary } from '../test/tools.ts';
import { hostTree } from './index.ts';
import { hasNative } from './native/index.ts';

describe('hostTree', () => {
  it('shows what stat(1) shows', { skip: needs('stat', 'find') }, async (test) => {
    const directory = temporary(test);
    writeFileSync(join(directory, 'file'), 'content', { mode: 0o640 });
    linkSync(join(directory, 'file'), join(directory, 'link'));
    symlinkSync('/nowhere', join(directory, 'symlink'));
    mkdirSync(join(directory, 'd/e'), { recursive: true });
    run(['mkfifo', join(directory, 'd/pipe')]);
    run(['touch', '-h', '-d', '@1234567890.123456789', join(directory, 'symlink')]);
    run(['touch', '-d', '@-5.25', join(directory, 'file')]);
    using tree = hostTree(directory);
    const format = '%i %f %u %g %h %s %.9Y';
    for await (const { path, node } of walk(tree)) {
      const { stat } = node;
      const { seconds, nanoseconds } = stat.mtime;
      const time =
        seconds < 0 ? '-5.250000000' : `${seconds}.${String(nanoseconds).padStart(9, '0')}`;
      const mode = (stat.mode + kinds[stat.type]!).toString(16);
      assert.equal(
        `${stat.ino} ${mode} ${stat.uid} ${stat.gid} ${stat.nlink} ${stat.size} ${time}`,
        run(['stat', '-c', format, join(directory, path)])
          .toString()
          .trim(),
        path,
      );
    }
  });

  it('shows every name, also those that are no text', { skip: needs('find') }, async (test) => {
    const directory = temporary(test);
    for (const bytes of [[0xff, 0x61], [0x0a], [0xc3, 0xa4]]) {
      writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(bytes)]), '');
    }
    using tree = hostTree(directory);
    assert.deepEqual(
      tree.root.list().map(({ name }) => name),
      ['\n', 'ä', '\udcffa'],
    );
    for (const { name } of tree.root.list())
      assert.equal(tree.root.lookup(name)?.stat.type, 'file');
  });

  it('reads links and files, and does not follow links', async (test) => {
    const directory = temporary(test);
    writeFileSync(join(directory, 'file'), 'content');
    symlinkSync('file', join(directory, 'symlink'));
    using tree = hostTree(directory);
    const link = tree.root.lookup('symlink')!;
    assert.equal(link.readLink(), 'file');
    assert.throws(() => link.read(0, 1), { code: 'VFS_NOT_FILE' });
    const file = await findNode(tree, 'symlink');
    assert.equal(Buffer.from(await file!.read(3, 100)).toString(), 'tent');
    assert.equal((await file!.read(100, 1)).length, 0);
  });

  it('refuses names that lead elsewhere', (test) => {
    using tree = hostTree(temporary(test));
    for (const name of ['..', '.', '', 'a/b', '/etc', '\0']) {
      assert.equal(tree.root.lookup(name), undefined);
    }
  });

  it('does not follow a link that takes the place of a directory or a file', (test) => {
    const directory = temporary(test);
    mkdirSync(join(directory, 'inside/d'), { recursive: true });
    mkdirSync(join(directory, 'outside'));
    writeFileSync(join(directory, 'inside/d/file'), 'mine');
    writeFileSync(join(directory, 'outside/file'), 'not mine');
    using tree = hostTree(join(directory, 'inside'));
    const d = tree.root.lookup('d')!;
    const file = d.lookup('file')!;
    renameSync(join(directory, 'inside/d'), join(directory, 'inside/was'));
    symlinkSync('../outside', join(directory, 'inside/d'));
    using again = hostTree(join(directory, 'inside'));
    assert.equal(again.root.lookup('d')?.stat.type, 'symlink');
    // The directory itself is still held; what has its name now is not looked at.
    assert.equal(Buffer.from(file.read(0, 9)).toString(), 'mine');
    rmSync(join(directory, 'inside/d'));
    mkdirSync(join(directory, 'inside/d'));
    const replaced = tree.root.lookup('d')!;
    rmSync(join(directory, 'inside/d'), { recursive: true });
    symlinkSync('../outside', join(directory, 'inside/d'));
    assert.throws(() => replaced.list(), { code: /VFS_STALE|VFS_NOT_DIRECTORY/ });
    assert.throws(() => replaced.lookup('file'), { code: /VFS_STALE|VFS_NOT_DIRECTORY/ });
  });

  it('tells a file that took the place of another', (test) => {
    const directory = temporary(test);
    writeFileSync(join(directory, 'a'), 'one');
    writeFileSync(join(directory, 'b'), 'two');
    using tree = hostTree(directory);
    const a = tree.root.lookup('a')!;
    renameSync(join(directory, 'b'), join(directory, 'a'));
    assert.throws(() => a.read(0, 3), { code: 'VFS_STALE' });
  });

  it('tells a file that is written to while it is read, unless the tree is live', (test) => {
    const directory = temporary(test);
    const path = join(directory, 'a');
    writeFileSync(path, 'one');
    using tree = hostTree(directory);
    using live = hostTree(directory, { live: true });
    const nodes = [tree, live].map(({ root }) => root.lookup('a')!);
    for (const node of nodes) assert.equal(String(Buffer.from(node.read(0, 3))), 'one');
    const fd = openSync(path, 'r+');
    writeSync(fd, 'two', 0);
    closeSync(fd);
    assert.throws(() => nodes[0]!.read(0, 3), { code: 'VFS_STALE', message: /a: it was written/ });
    assert.equal(String(Buffer.from(nodes[1]!.read(0, 3))), 'two');
    const [condensed] = [tree.root.condense(tree.root.list())(0, 'a')];
    assert.equal(String(Buffer.from(condensed!.read(0, 3))), 'two');
    appendFileSync(path, ' and more');
    assert.throws(() => condensed!.read(0, 3), { code: 'VFS_STALE' });
  });

  it('makes nodes again that were let go of, and asks for their attributes anew', (test) => {
    const directory = temporary(test);
    writeFileSync(join(directory, 'a'), 'first');
    writeFileSync(join(directory, 'b'), 'other');
    symlinkSync('a', join(directory, 'c'));
    using tree = hostTree(directory);
    const entries = tree.root.list();
    const nodes = tree.root.condense(entries);
    for (const [place, { name, node }] of entries.entries()) {
      const again = nodes(place, name);
      assert.deepEqual(
        [again.type, again.size, again.path()],
        [node!.stat.type, node!.stat.size, name],
      );
      assert.deepEqual(again.stat, node!.stat);
    }
    assert.equal(String(Buffer.from(nodes(1, 'b').read(0, 9))), 'other');
    assert.equal(nodes(2, 'c').readLink(), 'a');
    writeFileSync(join(directory, 'a'), 'longer by now');
    assert.equal(nodes(0, 'a').stat.size, 13);
    rmSync(join(directory, 'b'));
    assert.throws(() => nodes(1, 'b').stat, { code: 'VFS_STALE' });
    assert.throws(() => nodes(0, 'a').list(), { code: 'VFS_NOT_DIRECTORY' });
  });

  it('reads deep and wide trees with few descriptors', async (test) => {
    const directory = temporary(test);
    for (let index = 0; index < 150; index++) {
      mkdirSync(join(directory, `d${index}`, 'e'.repeat(5)), { recursive: true });
      writeFileSync(join(directory, `d${index}`, 'file'), String(index));
    }
    mkdirSync(join(directory, ...Array<string>(100).fill('deep')), { recursive: true });
    const tree = hostTree(directory);
    assert.equal(await describeDifferences(tree, tree), '');
    const open = openBelow(directory);
    assert.ok(open > 0 && open <= 128, `${open} are open`);
    tree.close();
    assert.equal(openBelow(directory), 0);
    assert.throws(() => tree.root.list(), { code: 'VFS_IO' });
  });

  it('shows sockets and does not open pipes', async (test) => {
    const directory = temporary(test);
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(join(directory, 'socket'), resolve);
    });
    test.after(() => server.close());
    using tree = hostTree(directory);
    assert.deepEqual(
      tree.root.list().map(({ type }) => type),
      ['socket'],
    );
  });

  it('reads extended attributes, by one run of getfattr', { skip: needs('attributes') }, (test) => {
    const directory = temporary(test);
    const path = join(directory, 'a = ä\\\n');
    writeFileSync(path, '');
    run(['setfattr', '-n', 'user.mark', '-v', '0x00ff0a', path]);
    run(['setfattr', '-n', 'user.empty', path]);
    run(['setfattr', '-n', 'user.root', '-v', 'r', directory]);
    using tree = hostTree(directory, { xattrs: true });
    const xattrs = tree.root.lookup('a = ä\\\n')!.xattrs();
    assert.deepEqual(
      [...xattrs].map(([name, value]) => [name, Buffer.from(value).toString('hex')]).sort(),
      [
        ['user.empty', ''],
        ['user.mark', '00ff0a'],
      ],
    );
    assert.equal(tree.root.xattrs().size, 1);
    using plain = hostTree(directory);
    assert.equal(plain.root.xattrs().size, 0);
  });

  it('tells where holes are', { skip: !hasNative() && 'needs koffi' }, (test) => {
    const directory = temporary(test);
    const MiB = 2 ** 20;
    const fd = openSync(join(directory, 'sparse'), 'w');
    ftruncateSync(fd, 100 * MiB);
    writeSync(fd, Buffer.alloc(MiB, 1), 0, MiB, 8 * MiB);
    writeSync(fd, Buffer.alloc(MiB, 2), 0, MiB, 99 * MiB);
    closeSync(fd);
    writeFileSync(join(directory, 'hole'), '');
    truncateSync(join(directory, 'hole'), MiB);
    writeFileSync(join(directory, 'full'), Buffer.alloc(MiB, 3));
    writeFileSync(join(directory, 'empty'), '');
    using tree = hostTree(directory);
    const extents = (name: string) => tree.root.lookup(name)!.extents();
    assert.deepEqual(extents('sparse'), [
      { offset: 8 * MiB, length: MiB },
      { offset: 99 * MiB, length: MiB },
    ]);
    assert.deepEqual(extents('hole'), []);
    assert.deepEqual(extents('full'), [{ offset: 0, length: MiB }]);
    assert.deepEqual(extents('empty'), []);
    const sparse = tree.root.lookup('sparse')!;
    appendFileSync(join(directory, 'sparse'), 'more');
    assert.throws(() => sparse.extents(), { code: 'VFS_STALE' });
    using live = hostTree(directory, { live: true });
    assert.deepEqual(live.root.lookup('hole')!.extents(), [{ offset: 0, length: MiB }]);
  });

  it('says what it cannot open', (test) => {
    const directory = temporary(test);
    writeFileSync(join(directory, 'file'), '');
    assert.throws(() => hostTree(join(directory, 'no')), { code: 'HOST_NOT_FOUND' });
    assert.throws(() => hostTree(join(directory, 'file')), { code: 'HOST_NOT_DIRECTORY' });
    assert.throws(() => hostTree(join(directory, 'no'), { xattrs: true }), {
      code: 'HOST_NOT_FOUND',
    });
  });
});

const kinds: Readonly<Record<string, number>> = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  fifo: 0o010000,
};
