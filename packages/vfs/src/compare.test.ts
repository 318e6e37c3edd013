import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { all, arbitraryTree, sampleTree, utf8 } from '../test/trees.ts';
import { compareTrees, describeDifferences, MemoryTree } from './index.ts';

/** Changes to the sample, and the lines they must give. */
const changes: readonly (readonly [change: (tree: MemoryTree) => void, line: string])[] = [
  [(tree) => tree.find('block')!.change({ mode: 0o600 }), '/block: mode 0644 against 0600'],
  [(tree) => tree.find('block')!.change({ uid: 7 }), '/block: owner 0:0 against 7:0'],
  [
    (tree) => tree.find('block')!.change({ mtime: { seconds: -1, nanoseconds: 5 } }),
    '/block: mtime 1700000000.123456789 against -1.000000005',
  ],
  [(tree) => tree.remove('empty'), '/empty: only in the first tree (file)'],
  [(tree) => tree.putDirectory('new'), '/new: only in the second tree (directory)'],
  [
    (tree) => {
      tree.remove('bin');
      tree.putDirectory('bin');
    },
    '/bin: type symbolic link against directory',
  ],
  [
    (tree) =>
      tree.putSymlink('bin', 'sbin', {
        mtime: { seconds: 1_700_000_000, nanoseconds: 123_456_789 },
      }),
    '/bin: target usr/bin against sbin',
  ],
  [
    (tree) => {
      const bytes = new Uint8Array(1_000_000).map((_, at) => at % 251);
      bytes[900_001] = 0xff;
      tree.find('blocks')!.content = bytes;
    },
    '/blocks: content at byte 900001 0xa6 against 0xff',
  ],
  [
    (tree) => {
      tree.find('old')!.content = utf8('xy');
    },
    '/old: size 1 against 2',
  ],
  [
    (tree) => tree.find('old')!.change({ xattrs: new Map([['user.x', utf8('1')]]) }),
    '/old: xattr user.x none against 0x31',
  ],
  [
    (tree) => tree.find('marked')!.change({ xattrs: new Map([['user.a=b%', utf8('')]]) }),
    '/marked: xattr user.a=b% 0x776974680a6c696e6520616e642000 against empty\n/marked: xattr user.empty empty against none',
  ],
];

describe('compareTrees', () => {
  it('finds nothing where two trees are the same', async () => {
    assert.equal(await describeDifferences(sampleTree(), sampleTree()), '');
    await fc.assert(
      fc.asyncProperty(arbitraryTree, async (tree) => {
        assert.equal(await describeDifferences(tree, tree), '');
      }),
      { seed: 30, numRuns: 50 },
    );
  });

  for (const [change, lines] of changes) {
    it(`says "${lines.split('\n')[0]}"`, async () => {
      const changed = sampleTree();
      change(changed);
      assert.equal(await describeDifferences(sampleTree(), changed), lines);
    });
  }

  it('tells which names are one file, not only how many', async () => {
    const a = pairs('a', 'b', 'c', 'd');
    const b = pairs('a', 'c', 'b', 'd');
    assert.equal(
      await describeDifferences(a, b),
      '/b: links a name of /a against none\n/c: links none against a name of /a\n/d: links a name of /c against a name of /b',
    );
    assert.deepEqual(await all(compareTrees(a, b, { ignore: ['links'] })), []);
  });

  it('looks at times as exactly as it is told to', async () => {
    const [a, b] = [new MemoryTree(), new MemoryTree()];
    a.root.change({ mtime: { seconds: 5, nanoseconds: 1_999 } });
    b.root.change({ mtime: { seconds: 5, nanoseconds: 1_000 } });
    assert.notEqual(await describeDifferences(a, b), '');
    assert.equal(await describeDifferences(a, b, { times: 'microseconds' }), '');
    b.root.change({ mtime: { seconds: 5, nanoseconds: 0 } });
    assert.notEqual(await describeDifferences(a, b, { times: 'microseconds' }), '');
    assert.equal(await describeDifferences(a, b, { times: 'seconds' }), '');
  });

  it('shows names that are no text, in one line', async () => {
    const a = new MemoryTree();
    a.putFile('a\nb\udcff😀', utf8(''));
    assert.equal(
      await describeDifferences(a, new MemoryTree()),
      '/a\\x0ab\\xff😀: only in the first tree (file)',
    );
  });

  it('stops after as many lines as asked for', async () => {
    const text = await describeDifferences(sampleTree(), new MemoryTree(), { limit: 2 });
    assert.equal(text.split('\n').length, 3);
  });
});

function pairs(...names: [string, string, string, string]): MemoryTree {
  const tree = new MemoryTree();
  tree.putFile(names[0], utf8('same'));
  tree.putLink(names[1], names[0]);
  tree.putFile(names[2], utf8('same'));
  tree.putLink(names[3], names[2]);
  return tree;
}
