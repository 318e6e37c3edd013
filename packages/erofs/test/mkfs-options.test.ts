import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { AnoleError, memorySource } from '@anole/bytes';
import { fileSource, hostTree, unpackTree } from '@anole/host';
import { type Aspect, describeDifferences, MemoryTree, type Tree } from '@anole/vfs';
import { utf8 } from '../../vfs/test/trees.ts';
import { checkErofs, labelsBy, openErofs, type WriteOptions } from '../src/index.ts';
import { imageOf, Mounted, missing, noErofsUtils, noMount, run, Scratch } from './judges.ts';
import { edgeTree, patterned } from './trees.ts';

const noJudge = noErofsUtils() || noMount() || missing('getfattr') || missing('setfattr');

/** Whether Debian's erofs-utils 1.5 does not know what these options lead to. */
function isNewer({ xattrPrefixes, compression, compactTimes = false }: WriteOptions): boolean {
  const { tails, dedupe = false } = compression ?? {};
  return xattrPrefixes !== undefined || tails === 'fragment' || dedupe || compactTimes;
}

/** An image that the kernel and fsck.erofs have judged to be that tree. */
async function judged(
  tree: Tree,
  options: WriteOptions,
  ignore: readonly Aspect[] = [],
): Promise<Uint8Array> {
  using scratch = new Scratch();
  const image = await imageOf(tree, options);
  const file = scratch.at('image');
  writeFileSync(file, image);
  if (!isNewer(options)) run(['fsck.erofs', file]);
  const { errors } = await checkErofs(memorySource(image));
  assert.equal(errors, 0);
  using mounted = new Mounted(scratch, file);
  using seen = hostTree(mounted.path, { xattrs: true });
  assert.equal(await describeDifferences(tree, seen, { ignore }), '');
  return image;
}

/** What dump.erofs says about where a file lies: bytes of the file, and of the image. */
function extentsOf(image: Uint8Array, path: string): { length: number; start: number }[] {
  using scratch = new Scratch();
  const file = scratch.at('image');
  writeFileSync(file, image);
  const text = run(['dump.erofs', '-e', `--path=${path}`, file]).toString();
  const lines = text.matchAll(/^ *\d+: *\d+\.\. *\d+ \| *(\d+) : *(\d+)\.\. *\d+ \| *\d+/gm);
  return [...lines].map(([, length, start]) => ({ length: Number(length), start: Number(start) }));
}

/** Bytes of a file that each of its pclusters holds. */
async function decodedLengths(image: Uint8Array, name: string): Promise<number[]> {
  const tree = await openErofs(memorySource(image));
  const node = (await tree.root.lookup(name))!;
  const lengths: number[] = [];
  for (let at = 0; at < node.stat.size; at += lengths.at(-1)!) {
    lengths.push((await node.mapping(at)).length);
  }
  return lengths;
}

test('long prefixes of attribute names are stored once, and the kernel puts names together', {
  skip: noJudge,
}, async () => {
  const tree = new MemoryTree();
  for (let index = 0; index < 200; index++) {
    const names = ['user.application.key', 'user.application.', 'user.app', 'trusted.overlay.x'];
    const xattrs = names.map((name): [string, Uint8Array] => [name, utf8(`${name} ${index}`)]);
    tree.putFile(`${index}`, patterned(index * 40), { xattrs: new Map(xattrs) });
  }
  const xattrPrefixes = ['user.app', 'user.application.', 'trusted.overlay.'];
  const plain = await judged(tree, {});
  const long = await judged(tree, { xattrPrefixes });
  assert.ok(long.length < plain.length);
  // With fragments, readers look for them in the packed inode.
  const compression = { compressor: 'lz4', tails: 'fragment' } as const;
  await judged(tree, { xattrPrefixes, compression });
  const bare = new MemoryTree();
  bare.putFile('x', new Uint8Array(0), { xattrs: new Map([['user.application.x', utf8('y')]]) });
  await judged(bare, { xattrPrefixes, compression });
  const chunks = { size: 4096 };
  await judged(tree, { xattrPrefixes, chunks });
});

test('data of files begin at multiples of what is wanted', { skip: noJudge }, async () => {
  const tree = edgeTree();
  const dataAlignment = 65_536;
  const layouts: readonly WriteOptions[] = [
    {},
    { chunks: { size: 65_536 } },
    { compression: { compressor: 'lz4' } },
  ];
  for (const options of layouts) {
    const image = await judged(tree, { ...options, dataAlignment });
    for (const path of ['/sizes/2097152', '/sizes/8191', '/blocks']) {
      const [first] = extentsOf(image, path);
      assert.equal(first!.start % dataAlignment, 0, `${path} lies at ${first!.start}`);
    }
  }
  const chunked = await judged(tree, { chunks: { size: 65_536 }, dataAlignment });
  const starts = extentsOf(chunked, '/sizes/2097152').map(({ start }) => start % dataAlignment);
  assert.deepEqual(new Set(starts), new Set([0]));
});

test('an image has as many blocks as is wanted', { skip: noJudge }, async () => {
  const layouts: readonly WriteOptions[] = [
    {},
    { chunks: { size: 65_536 } },
    { compression: { compressor: 'lz4', directories: true } },
  ];
  for (const options of layouts) {
    const image = await judged(edgeTree(), { ...options, sizeAlignment: 1024 * 1024 });
    assert.equal(image.length % (1024 * 1024), 0);
    const { info } = await openErofs(memorySource(image));
    assert.equal(info.blocks * 4096, image.length);
  }
});

test('no pcluster holds more of a file than is allowed', { skip: noJudge }, async () => {
  const tree = new MemoryTree();
  tree.putFile('text', utf8('the same line again and again\n'.repeat(20_000)));
  tree.putFile('noise', patterned(300_000));
  for (const compressor of ['lz4', 'lz4hc'] as const) {
    for (const tails of ['plain', 'inline', 'fragment'] as const) {
      for (const dedupe of [false, true]) {
        const compression = { compressor, tails, dedupe, pclusterSize: 16_384 };
        const bounded = { ...compression, maxExtentBytes: 20_000 };
        const image = await judged(tree, { compression: bounded });
        const lengths = await decodedLengths(image, 'text');
        assert.ok(lengths.length >= 30);
        assert.ok(Math.max(...lengths) <= 20_000);
        if (isNewer({ compression })) continue;
        const dumped = extentsOf(image, '/text').map(({ length }) => length);
        assert.deepEqual(dumped, lengths);
      }
    }
  }
});

test('inodes are compact where times are not wanted, or all of them', {
  skip: noJudge,
}, async () => {
  const tree = new MemoryTree();
  for (let index = 0; index < 300; index++) {
    tree.putFile(`${index}`, patterned(10), { mtime: { seconds: index, nanoseconds: 0 } });
  }
  tree.putFile('far', patterned(10), { uid: 70_000 });
  const whole = await judged(tree, {});
  const timeless = await judged(tree, { ignoreTimes: true }, ['mtime']);
  assert.ok(timeless.length < whole.length);
  await assert.rejects(
    imageOf(tree, { inodes: 'compact' }),
    (error) => AnoleError.is(error) && error.code === 'EROFS_CANNOT_STORE',
  );
  await judged(tree, { inodes: 'compact', owners: { uid: 0 } }, ['mtime', 'owner']);
});

test('compact inodes have seconds of their own where Linux 6.15 is enough', {
  skip: noJudge,
}, async () => {
  const tree = new MemoryTree();
  const put = (name: string, seconds: number, nanoseconds = 0) =>
    tree.putFile(name, patterned(10), { mtime: { seconds, nanoseconds } });
  for (let index = 0; index < 300; index++) put(`${index}`, 1_700_000_000 + index * 1000);
  put('fine', 1_700_000_000, 5);
  put('long ago', -(2 ** 34));
  put('far', 2 ** 34);
  const plain = await imageOf(tree);
  for (const compression of [undefined, { compressor: 'lz4', tails: 'fragment' } as const]) {
    const options = { compactTimes: true, ...(compression && { compression }) };
    const image = await judged(tree, options);
    await judged(edgeTree(), { ...options, listDots: false });
    assert.ok(image.length < plain.length * 0.8);
    const { info } = await openErofs(memorySource(image));
    assert.deepEqual([info.epoch, info.fixedNanoseconds], [0, 0]);
  }
});

test('an image says when it was made, if told, and files keep their times', {
  skip: noJudge,
}, async () => {
  // Before the time that most files have, and after it.
  for (const buildTime of [5, 1_800_000_000]) {
    for (const compactTimes of [false, true]) {
      const image = await judged(edgeTree(), { buildTime, compactTimes });
      const { info } = await openErofs(memorySource(image));
      assert.equal(info.epoch + info.buildTime, buildTime);
    }
  }
});

test('an image has no checksum where none is wanted', { skip: noJudge }, async () => {
  const image = await judged(edgeTree(), { checksum: false });
  using scratch = new Scratch();
  const file = scratch.at('image');
  writeFileSync(file, image);
  const features = /^Filesystem features:.*$/m;
  assert.doesNotMatch(features.exec(run(['dump.erofs', '-s', file]).toString())![0], /sb_csum/);
  writeFileSync(file, await imageOf(edgeTree(), {}));
  assert.match(features.exec(run(['dump.erofs', '-s', file]).toString())![0], /sb_csum/);
});

test('names of one file become files of their own', { skip: noJudge }, async () => {
  const tree = new MemoryTree();
  const [content, mtime] = [patterned(9000), { seconds: 1, nanoseconds: 0 }];
  tree.putFile('a', content, { mtime });
  tree.putLink('b', 'a');
  const apart = new MemoryTree();
  for (const name of ['a', 'b']) apart.putFile(name, content, { mtime });
  const image = await openErofs(memorySource(await imageOf(tree, { hardDereference: true })));
  assert.equal(await describeDifferences(apart, image), '');
  await judged(apart, { hardDereference: true });
});

/** Of each kind a line, and such that only some of the order of lines is right. */
const contexts = `
# a comment
/.*                  system_u:object_r:default_t:s0
/order/a             system_u:object_r:path_t:s0
/order(/.*)?         system_u:object_r:order_t:s0
/order/b\\+c          system_u:object_r:escaped_t:s0
/sizes/[0-9]+    --  system_u:object_r:size_t:s0
/sizes/4.*       -d  system_u:object_r:never_t:s0
/crowd/.*            <<none>>
/links           -d  system_u:object_r:links_t:s0
/links/.*        -l  system_u:object_r:link_t:s0
/.*              -c  system_u:object_r:device_t:s0
/labelled/7          <<none>>
`;

test('labels by a file of contexts are those that mkfs.erofs gives', {
  skip: noJudge || missing('setfattr'),
}, async () => {
  using scratch = new Scratch();
  const [source, file, image] = [scratch.at('source'), scratch.at('contexts'), scratch.at('image')];
  mkdirSync(source);
  const tree = edgeTree();
  // Which of several names counts is the order of a directory for mkfs.erofs.
  await unpackTree(
    await openErofs(memorySource(await imageOf(tree, { hardDereference: true }))),
    source,
  );
  writeFileSync(file, contexts);
  run(['mkfs.erofs', `--file-contexts=${file}`, image, source]);
  using made = fileSource(image);
  using host = hostTree(source, { xattrs: true });
  const options = { label: labelsBy(contexts) };
  const ours = await openErofs(memorySource(await imageOf(host, options)));
  assert.equal(await describeDifferences(await openErofs(made), ours), '');
  // Without other attributes too.
  const bare = await openErofs(memorySource(await imageOf(host, { ...options, xattrs: false })));
  const label = await (await bare.root.lookup('sizes'))!.xattrs();
  assert.deepEqual([...label.keys()], ['security.selinux']);
});

test('paths of contexts begin where an image is mounted', () => {
  const label = labelsBy('/system(/.*)? a\n/system/x b\n/x c\n', { mountPoint: 'system/' });
  assert.equal(label('/x', 'file'), 'b');
  assert.equal(label('/', 'directory'), 'a');
  assert.equal(label('/xy', 'file'), 'a');
  assert.equal(labelsBy('/x c')('/xy', 'file'), undefined);
  const stems = labelsBy('/a/?b c\n/d/e{2}f g\n/h/i|/j k\n(/l)?/m n\n/o\\.p/q r\n');
  const found = ['/ab', '/a/b', '/d/eef', '/j', '/h/i', '/m', '/l/m', '/o.p/q', '/oxp/q'];
  const labels = found.map((path) => stems(path, 'file'));
  assert.deepEqual(labels, ['c', 'c', 'g', 'k', 'k', 'n', 'n', 'r', undefined]);
});

test('what cannot be meant is refused with the next step', async () => {
  const refused = (options: WriteOptions, says: RegExp) =>
    assert.rejects(
      imageOf(new MemoryTree(), options),
      (error) =>
        AnoleError.is(error) && error.code === 'EROFS_BAD_OPTION' && says.test(error.hint ?? ''),
    );
  await refused({ xattrPrefixes: ['system.x'] }, /begin with user/);
  await refused({ xattrPrefixes: ['user.'] }, /1 to 255 bytes more/);
  await refused({ xattrPrefixes: Array<string>(129).fill('user.x') }, /at most 128/);
  await refused({ listDots: false }, /compactTimes/);
  await refused({ dataAlignment: 5000 }, /multiple of 4096/);
  await refused({ sizeAlignment: 1 }, /multiple of 4096/);
  await refused({ dataAlignment: 65_536, chunks: { size: 4096 } }, /no multiple/);
  await refused({ compression: { compressor: 'lz4', maxExtentBytes: 100 } }, /4096 bytes or more/);
  for (const line of ['/x', '/x -q label', '/x -d label more', '/( label']) {
    assert.throws(() => labelsBy(`\n${line}\n`), /line of contexts 2/);
  }
});
