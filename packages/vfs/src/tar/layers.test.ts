import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AnoleError, memorySource } from '@anole/bytes';
import fc from 'fast-check';
import { type RawMember, rawTar } from '../../test/raw-tar.ts';
import { pieces, sampleTree } from '../../test/trees.ts';
import { describeDifferences, type MemoryTree, treeFromLayers, walk, writeTar } from '../index.ts';

/** What a stack of layers shows: `path` of directories, `path=content` of files. */
async function shown(...layers: (readonly RawMember[])[]): Promise<string[]> {
  const tree = await stack(...layers);
  const names: string[] = [];
  for await (const { path, node } of walk(tree)) {
    if (path === '') continue;
    const { type, size } = node.stat;
    const bytes = type === 'file' ? await node.read(0, size) : undefined;
    names.push(bytes ? `${path}=${Buffer.from(bytes)}` : path);
  }
  return names;
}

function stack(...layers: (readonly RawMember[])[]): Promise<MemoryTree> {
  return treeFromLayers(layers.map((members) => memorySource(rawTar(...members))));
}

const directory = (name: string): RawMember => ({ name, type: '5' });
const file = (name: string, body = name): RawMember => ({ name, body });
const link = (name: string, target: string): RawMember => ({ name, type: '1', link: target });
const symlink = (name: string, target: string): RawMember => ({ name, type: '2', link: target });

describe('layers', () => {
  it('replace and add', async () => {
    const names = await shown([file('a', '1'), file('b', '1')], [file('b', '2'), file('c', '2')]);
    assert.deepEqual(names, ['a=1', 'b=2', 'c=2']);
  });

  it('remove what is below by whiteouts', async () => {
    const lower = [directory('d'), file('d/x'), file('d/y'), file('e')];
    assert.deepEqual(await shown(lower, [file('d/.wh.x', '')]), ['d', 'd/y=d/y', 'e=e']);
    assert.deepEqual(await shown(lower, [file('.wh.d', '')]), ['e=e']);
    assert.deepEqual(await shown(lower, [file('.wh.absent', '')], [file('.wh.e', '')]), [
      'd',
      'd/x=d/x',
      'd/y=d/y',
    ]);
  });

  it('keep what they bring beside their own whiteouts, in either order', async () => {
    const lower = [directory('d'), directory('d/s'), file('d/s/old'), file('d/x', 'old')];
    const upper = [directory('d'), directory('d/s'), file('d/s/new'), file('d/x', 'new')];
    const expected = ['d', 'd/s', 'd/s/new=d/s/new', 'd/x=new'];
    for (const marker of [file('d/.wh..wh..opq', ''), file('.wh.d', '')]) {
      assert.deepEqual(await shown(lower, [marker, ...upper]), expected);
      assert.deepEqual(await shown(lower, [...upper, marker]), expected);
    }
    assert.deepEqual(await shown(lower, [file('d/s/new'), file('d/.wh..wh..opq', '')]), [
      'd',
      'd/s',
      'd/s/new=d/s/new',
    ]);
  });

  it('put files over directories, and directories over files and links', async () => {
    assert.deepEqual(await shown([directory('d'), file('d/x')], [file('d', 'now')]), ['d=now']);
    assert.deepEqual(await shown([file('d')], [directory('d'), file('d/x')]), ['d', 'd/x=d/x']);
    const linked = [directory('real'), symlink('d', 'real')];
    assert.deepEqual(await shown(linked, [directory('d'), file('d/x')]), ['d', 'd/x=d/x', 'real']);
  });

  it('take paths through links of lower layers, inside the tree', async () => {
    const lower = [directory('usr'), directory('usr/bin'), symlink('bin', 'usr/bin')];
    const tree = await stack(lower, [file('bin/sh'), symlink('out', '/../..'), file('out/x')]);
    assert.equal(tree.find('usr/bin/sh', { followSymlinks: false })?.type, 'file');
    assert.equal(tree.find('x', { followSymlinks: false })?.type, 'file');
  });

  it('join hard links across layers, which replacing one name leaves alone', async () => {
    const tree = await stack([file('a', '1')], [link('b', 'a')], [file('a', '2'), link('c', 'b')]);
    assert.equal(tree.find('b'), tree.find('c'));
    assert.equal(tree.find('b')?.stat.nlink, 2);
    assert.equal(tree.find('a')?.stat.nlink, 1);
    assert.deepEqual(await shown([file('a', '1')], [link('b', 'a'), file('.wh.a', '')]), ['b=1']);
  });

  it('pass over what old union file systems left', async () => {
    const left = [directory('.wh..wh.plnk'), file('.wh..wh.plnk/1'), file('.wh..wh.aufs', '')];
    assert.deepEqual(await shown([file('a')], left), ['a=a']);
  });

  const refused: readonly (readonly [string, readonly RawMember[], string])[] = [
    ['a whiteout of ..', [file('d/.wh...', '')], 'TAR_BAD_NAME'],
    ['a member in a whiteout', [file('.wh.d/x')], 'TAR_BAD_NAME'],
    ['a whiteout of .', [file('d/.wh..', '')], 'TAR_BAD_NAME'],
    ['a whiteout of nothing', [file('d/.wh.', '')], 'TAR_BAD_NAME'],
    ['a name that climbs', [file('../x')], 'TAR_BAD_NAME'],
    ['a file as the root', [file('.', 'x')], 'VFS_IS_DIRECTORY'],
    ['a file below a file', [file('a'), file('a/b')], 'VFS_NOT_DIRECTORY'],
    ['a hard link to a directory', [directory('a'), link('b', 'a')], 'TAR_BAD_LINK'],
    ['a hard link to nothing', [link('b', 'a')], 'TAR_BAD_LINK'],
  ];
  for (const [what, members, code] of refused) {
    it(`refuse ${what}`, async () => {
      await assert.rejects(stack([directory('d')], members), { code });
    });
  }

  it('have a bounded number of members', async () => {
    const layer = memorySource(rawTar(file('a'), file('b'), file('c')));
    await assert.rejects(treeFromLayers([layer], { maxEntries: 2 }), { code: 'TAR_TOO_LARGE' });
  });

  it('give what one tar gives, from a stream and from a Source', async () => {
    const parts: Uint8Array[] = [];
    for await (const part of writeTar(sampleTree())) parts.push(part.slice());
    const bytes = new Uint8Array(Buffer.concat(parts));
    for (const layer of [memorySource(bytes), pieces(bytes, 1000)]) {
      assert.equal(await describeDifferences(sampleTree(), await treeFromLayers([layer])), '');
    }
  });

  it('keep their own files where a link to its own directory is replaced on the way', async () => {
    const upper = [file('l/x', ''), directory('l/l'), file('l/.wh..wh..opq', '')];
    assert.deepEqual(await shown([symlink('l', '.')], upper), ['l', 'l/l', 'x=']);
  });

  it('do not change by whiteouts of nothing between their members', async () => {
    const parent = fc.constantFrom('', 'l/', 'a/');
    const path = fc.tuple(parent, fc.constantFrom('a', 'l')).map((parts) => parts.join(''));
    const target = fc.constantFrom('.', 'a', '/');
    const link = fc.tuple(path, target).map(([name, to]) => symlink(name, to));
    const put = fc.tuple(fc.constantFrom(file, directory), path).map(([make, name]) => make(name));
    const mark = parent.map((name) => file(`${name}.wh..wh..opq`, ''));
    const lower = fc.array(fc.oneof(link, put), { minLength: 1, maxLength: 3 });
    // Marks come last: what the layer has brought counts then.
    const upper = fc
      .tuple(fc.array(fc.oneof(put, put, link), { minLength: 2, maxLength: 4 }), mark)
      .map(([puts, last]) => [...puts, last]);
    const apart = (members: readonly RawMember[]) =>
      members.flatMap((member) => [member, file('.wh.absent', '')]);
    const result = async (layers: (readonly RawMember[])[]) => {
      try {
        return await shown(...layers);
      } catch (error) {
        if (!AnoleError.is(error)) throw error;
        return error.code;
      }
    };
    await fc.assert(
      fc.asyncProperty(lower, upper, async (...layers) => {
        assert.deepEqual(await result(layers), await result(layers.map(apart)));
      }),
      { seed: 7, numRuns: 3000 },
    );
  });

  it('end with a tree or a coded error, whatever they are', async () => {
    const name = fc
      .array(fc.constantFrom('a', 'b', '.wh.a', '.wh..wh..opq', '.wh.', '..'), {
        minLength: 1,
        maxLength: 3,
      })
      .map((parts) => parts.join('/'));
    const member = fc.record({
      name,
      type: fc.constantFrom('0', '1', '2', '5', '6'),
      link: name,
    });
    const layers = fc.array(fc.array(member, { maxLength: 6 }), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(layers, async (members) => {
        try {
          for await (const { path } of walk(await stack(...members))) {
            assert.ok(!path.split('/').some((part) => part.startsWith('.wh.')));
          }
        } catch (error) {
          if (!AnoleError.is(error)) throw error;
        }
      }),
      { seed: 6, numRuns: 2000 },
    );
  });
});
