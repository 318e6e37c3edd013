import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { memorySource } from '@anole/bytes';
import { hostTree } from '@anole/host';
import { describeDifferences, MemoryTree, walk } from '@anole/vfs';
import { utf8 } from '../../vfs/test/trees.ts';
import { checkErofs, openErofs, type WriteOptions } from '../src/index.ts';
import { imageOf, Mounted, missing, noMount, Scratch } from './judges.ts';
import { edgeTree, patterned } from './trees.ts';

const noJudge = noMount() || missing('getfattr');
const sha256 = () => createHash('sha256');

const variants: readonly WriteOptions[] = [
  {},
  { xattrs: false },
  { compression: { compressor: 'lz4', tails: 'fragment' } },
  { xattrPrefixes: ['user.many.'] },
  { chunks: { size: 4096 } },
];

function tree(): MemoryTree {
  const made = edgeTree();
  made.putFile('again/one', patterned(9000));
  made.putFile('again/two', patterned(9000));
  made.putFile('old', utf8('new'), { xattrs: new Map([['trusted.digest', utf8('wrong')]]) });
  return made;
}

for (const options of variants) {
  const title = JSON.stringify(options);

  test(`digests with ${title} are those of what the kernel shows`, { skip: noJudge }, async () => {
    const digests = { sha256, name: 'trusted.digest' };
    const image = await imageOf(tree(), { ...options, digests });
    assert.deepEqual((await checkErofs(memorySource(image), { sha256 })).findings, []);
    using scratch = new Scratch();
    using mounted = new Mounted(scratch, image);
    using seen = hostTree(mounted.path, { xattrs: true });
    let files = 0;
    for await (const { node, path } of walk(seen)) {
      const found = (await node.xattrs()).get('trusted.digest');
      const { type, size } = node.stat;
      if (type !== 'file' || size === 0) assert.equal(found, undefined, path);
      else {
        const hash = sha256().update(await node.read(0, size));
        assert.deepEqual(Buffer.from(found!), Buffer.concat([utf8('sha256:'), hash.digest()]));
        files++;
      }
    }
    assert.ok(files > 5);
  });
}

test('the kernel and the reader show no digests that have the name of mkfs.erofs', {
  skip: noJudge,
}, async () => {
  const image = await imageOf(tree(), { digests: { sha256 } });
  assert.equal(await describeDifferences(tree(), await openErofs(memorySource(image))), '');
  using scratch = new Scratch();
  using mounted = new Mounted(scratch, image);
  using seen = hostTree(mounted.path, { xattrs: true });
  assert.equal(await describeDifferences(tree(), seen), '');
});

test('fs check finds what is not as its digest says, and images without digests', async () => {
  const made = new MemoryTree();
  made.putFile('one', patterned(9000));
  const image = await imageOf(made, { digests: { sha256 } });
  const node = await (await openErofs(memorySource(image))).root.lookup('one');
  image[(await node!.mapping(0)).start + 5]! ^= 1;
  const { findings } = await checkErofs(memorySource(image), { sha256 });
  assert.deepEqual(
    findings.map(({ code, path }) => [code, path]),
    [['EROFS_DIGEST', '/one']],
  );
  const without = memorySource(await imageOf(made));
  const report = await checkErofs(without, { sha256 });
  assert.deepEqual(
    report.findings.map(({ code }) => code),
    ['EROFS_NO_DIGESTS'],
  );
});

test('files of holes that are far longer than the image are not hashed', async () => {
  const source = new MemoryTree();
  const zeros = new Uint8Array(1024 * 1024);
  source.putFile('holes', {
    size: 2 ** 30 + 1,
    read: (_, length) => zeros.subarray(0, length),
    extents: [],
  });
  const quick = () => ({ update() {}, digest: () => '00'.repeat(32) });
  const chunks = { size: 16 * 1024 * 1024 };
  const image = memorySource(await imageOf(source, { digests: { sha256: quick }, chunks }));
  const { findings } = await checkErofs(image, { sha256: () => assert.fail('it is hashed') });
  assert.deepEqual(
    findings.map(({ code, path }) => [code, path]),
    [['EROFS_NO_DIGESTS', '/holes']],
  );
});

test('a name that leaves nothing for a long prefix is refused', async () => {
  for (const name of ['', 'system.posix_acl_access', 'x'.repeat(256)]) {
    await assert.rejects(imageOf(new MemoryTree(), { digests: { sha256, name } }), {
      code: 'EROFS_BAD_OPTION',
    });
  }
});
