import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { findNode } from '@anole/vfs';
import { temporary } from '../test/tools.ts';
import { FileListing } from './file-listing.ts';
import { hostTree } from './host-tree.ts';
import { ListedFiles } from './listed-files.ts';

const names = ['first', 'a/b/second', 'a/b/third', 'a/\u00e4', 'a/not-\udcff-text'];

async function listed(test: TestContext) {
  const base = temporary(test);
  mkdirSync(join(base, 'a/b'), { recursive: true });
  const path = (name: string) => {
    const latin = name.includes('\udcff') && Buffer.from(`${base}/${name}`, 'latin1');
    return latin || join(base, name);
  };
  for (const name of names) writeFileSync(path(name), `it is ${name.length}`);
  const tree = hostTree(base);
  test.after(() => tree.close());
  const listing = new FileListing();
  const found = tree.root
    .lookup('a')
    ?.list()
    .find(({ name }) => name.startsWith('not-'));
  for (const name of names.slice(0, -1)) {
    assert.ok(listing.add((await findNode(tree, name))!));
  }
  assert.ok(listing.add(found!.node!));
  const files = new ListedFiles();
  test.after(() => files[Symbol.dispose]());
  files.take(listing.take());
  const read = (index: number, offset = 0) => {
    const bytes = Buffer.alloc(20);
    const count = files.readInto(index, offset, bytes);
    return count === undefined ? undefined : bytes.toString('latin1', 0, count);
  };
  return { base, files, read };
}

describe('files of a list', () => {
  it('are read by their numbers, from any byte', async (test) => {
    const { files, read } = await listed(test);
    for (const index of [0, 2, 1, 3, 3]) assert.equal(read(index), `it is ${names[index]!.length}`);
    assert.equal(read(2, 3), `is ${names[2]!.length}`);
    assert.match(read(4)!, /^it is/);
    assert.equal(files.path(1), '/a/b/second');
    assert.equal(files.path(0), '/first');
  });

  it('are not there where another file has their name', async (test) => {
    const { base, read } = await listed(test);
    renameSync(join(base, 'a/b/third'), join(base, 'a/b/second'));
    assert.equal(read(1), undefined);
    assert.equal(read(2), undefined);
    assert.equal(read(0), 'it is 5');
  });

  it('are known before anything is read: of what has their name instead nothing is', async (test) => {
    const { base, files } = await listed(test);
    // Beside it: the number of a file that is gone may be given to the next one.
    writeFileSync(join(base, 'other'), 'of another');
    renameSync(join(base, 'other'), join(base, 'first'));
    const bytes = Buffer.alloc(20);
    assert.equal(files.readInto(0, 0, bytes), undefined);
    assert.ok(bytes.equals(Buffer.alloc(20)));
    assert.equal(files.list(0), undefined);
  });

  it('are not there once they were written to', async (test) => {
    const { base, read } = await listed(test);
    assert.equal(read(0), 'it is 5');
    writeFileSync(join(base, 'first'), 'it is 6');
    assert.equal(read(0), undefined);
    assert.equal(read(1), 'it is 10');
    writeFileSync(join(base, 'a/b/third'), 'it is longer');
    assert.equal(read(2), undefined);
  });

  it('are not there behind a link, in whatever component', async (test) => {
    const { base, read } = await listed(test);
    renameSync(join(base, 'first'), join(base, 'moved'));
    symlinkSync('moved', join(base, 'first'));
    assert.equal(read(0), undefined);
    renameSync(join(base, 'a'), join(base, 'elsewhere'));
    symlinkSync('elsewhere', join(base, 'a'));
    assert.equal(read(3), undefined);
    rmSync(join(base, 'a'));
    writeFileSync(join(base, 'a'), '');
    assert.equal(read(1), undefined);
  });

  it('are of one tree', (test) => {
    const [one, other] = [temporary(test), temporary(test)].map((base) => {
      writeFileSync(join(base, 'file'), '');
      const tree = hostTree(base);
      test.after(() => tree.close());
      return tree.root.lookup('file')!;
    });
    const listing = new FileListing();
    assert.ok(listing.add(one!));
    assert.ok(!listing.add(other!));
    assert.equal(listing.count, 1);
  });
});
