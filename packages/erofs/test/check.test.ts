import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { AnoleError, memorySource, viewOf } from '@anole/bytes';
import { unpackTree } from '@anole/host';
import { MemoryTree, walk } from '@anole/vfs';
import {
  checkErofs,
  type ErofsNode,
  type ErofsTree,
  type FindingCode,
  openErofs,
  type WriteOptions,
} from '../src/index.ts';
import { CompactInode, ExtendedInode } from '../src/layout/inode.ts';
import { Superblock } from '../src/layout/superblock.ts';
import { offsetOf } from '../src/reader/inode.ts';
import { damage, random, reseal } from './damage.ts';
import { imageOf, Mounted, missing, noErofsUtils, noMount, run, Scratch } from './judges.ts';
import { edgeTree, patterned } from './trees.ts';

const noJudge = noErofsUtils() || missing('setfattr');
const unprivileged = process.getuid?.() === 0 ? false : 'making devices needs root';

const shared = new Scratch();
const sourcePath = shared.at('source');
before(async () => {
  if (noJudge || unprivileged) return;
  mkdirSync(sourcePath);
  await unpackTree(edgeTree(), sourcePath);
  const program = readFileSync(process.execPath).subarray(0, 3_000_000);
  writeFileSync(`${sourcePath}/program`, program);
  writeFileSync(`${sourcePath}/program-again`, program.subarray(0, 2_000_000));
});
after(() => shared[Symbol.dispose]());

const variants: readonly string[] = [
  '',
  '-E noinline_data',
  '-E force-inode-extended -x1',
  '-E force-inode-compact -T 1000000000 --all-root',
  '--chunksize=4096',
  '--chunksize=65536 -E force-chunk-indexes',
  '-zlz4',
  '-zlz4hc -C65536',
  '-zlz4 -C16384 -E legacy-compress',
  '-zlz4hc -E ztailpacking',
  '-zlz4 -E fragments',
  '-zlz4hc -C32768 -E all-fragments',
  '-zlz4 -E dedupe',
  '-zlz4hc -C16384 -E dedupe,all-fragments,ztailpacking',
];

for (const options of variants) {
  test(`an image by mkfs.erofs ${options} is sound, as fsck.erofs has it`, {
    skip: noJudge || unprivileged,
  }, async () => {
    using scratch = new Scratch();
    const image = scratch.at('image');
    run(['mkfs.erofs', ...options.split(' ').filter(Boolean), image, sourcePath]);
    run(['fsck.erofs', image]);
    const report = await checkErofs(memorySource(readFileSync(image)));
    assert.deepEqual(report.findings, []);
    const { total, metadata, data, unused } = report.blocks;
    assert.equal(metadata + data + unused, total);
    // Space between data and metadata that mkfs leaves.
    assert.ok(unused <= 1, `${unused} blocks are not used`);
  });
}

const ours: readonly WriteOptions[] = [
  {},
  { inlineTails: false, inodes: 'extended' },
  { blockSize: 512 },
  { compression: { compressor: 'lz4', pclusterSize: 65_536, tails: 'inline' } },
  { compression: { compressor: 'lz4hc', tails: 'fragment' } },
];

for (const options of ours) {
  test(`an image written with ${JSON.stringify(options)} is sound`, async () => {
    const image = await imageOf(edgeTree(), options);
    const { findings, names } = await checkErofs(memorySource(image));
    assert.deepEqual(findings, []);
    assert.ok(names > 20);
  });
}

test('data on a device that was not given are a warning', {
  skip: noJudge || unprivileged,
}, async () => {
  using scratch = new Scratch();
  const [image, blob] = [scratch.at('image'), scratch.at('blob')];
  run(['mkfs.erofs', '--chunksize=4096', `--blobdev=${blob}`, image, sourcePath]);
  const source = memorySource(readFileSync(image));
  const { errors, findings } = await checkErofs(source);
  assert.equal(errors, 0);
  assert.equal(findings[0]?.code, 'EROFS_NO_DEVICE');
  const devices = [memorySource(readFileSync(blob))];
  assert.deepEqual((await checkErofs(source, { devices })).findings, []);
});

/** A small tree whose inodes are easy to find. */
function plainTree(): MemoryTree {
  const tree = new MemoryTree();
  tree.putFile('a/one', patterned(20_000));
  tree.putFile('a/two', patterned(30_000));
  tree.putFile('b/three', patterned(40_000), {
    xattrs: new Map([['user.color', new Uint8Array([1])]]),
  });
  tree.putSymlink('link', 'a/one');
  for (let count = 0; count < 100; count++) tree.putFile(`many/file-${count}`, patterned(10));
  return tree;
}

/** An image open to be damaged. */
class Patient {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly tree: ErofsTree;

  constructor(bytes: Uint8Array, tree: ErofsTree) {
    this.bytes = bytes;
    this.view = viewOf(bytes);
    this.tree = tree;
  }

  async node(path: string): Promise<ErofsNode> {
    let node: ErofsNode | undefined = this.tree.root;
    for (const part of path.split('/').filter(Boolean)) node = await node?.lookup(part);
    assert.ok(node);
    return node;
  }

  /** Byte at which an inode begins. */
  async inode(path: string): Promise<number> {
    return offsetOf(this.tree.info, (await this.node(path)).nid);
  }

  /** Byte at which the data of an inode begin. */
  async data(path: string): Promise<number> {
    return (await (await this.node(path)).mapping(0)).start;
  }

  /** Byte at which the entry of a name lies in its directory, which has one block. */
  async entry(directory: string, name: string): Promise<number> {
    const start = await this.data(directory);
    const count = this.view.getUint16(start + 8, true) / 12;
    for (let index = 0; index < count; index++) {
      const at = start + index * 12;
      const from = start + this.view.getUint16(at + 8, true);
      const text = new TextDecoder().decode(this.bytes.subarray(from, from + name.length));
      if (text === name) return at;
    }
    return assert.fail(`${name} is not there`);
  }
}

interface Damage {
  readonly what: string;
  readonly code: FindingCode;
  readonly options?: WriteOptions;
  /** Who sees it too. */
  readonly judge?: 'fsck' | 'mount';
  /** Leaves the checksum as it was. */
  readonly unsealed?: boolean;
  /** Gives the byte that the finding must name, where that is sure. */
  do(patient: Patient): Promise<number | undefined>;
}

const { data: DATA } = CompactInode.offsets;

const damages: readonly Damage[] = [
  {
    what: 'a changed first block',
    code: 'EROFS_CHECKSUM',
    judge: 'mount',
    unsealed: true,
    async do({ bytes }) {
      bytes[1024 + Superblock.offsets.volumeName] = 65;
      return 1024 + Superblock.offsets.checksum;
    },
  },
  {
    what: 'two files with blocks that overlap',
    code: 'EROFS_SHARED_BLOCKS',
    async do(patient) {
      const at = (await patient.inode('a/two')) + DATA;
      const one = patient.view.getUint32((await patient.inode('a/one')) + DATA, true);
      patient.view.setUint32(at, one + 1, true);
      return undefined;
    },
  },
  {
    what: 'a file that ends outside the image',
    code: 'EROFS_OUT_OF_RANGE',
    async do(patient) {
      const at = (await patient.inode('a/two')) + DATA;
      patient.view.setUint32(at, 0x7fffffff, true);
      return 0x7fffffff * 4096;
    },
  },
  {
    what: 'an inode of no type',
    code: 'EROFS_BAD_INODE',
    judge: 'fsck',
    async do(patient) {
      const at = await patient.inode('b/three');
      patient.view.setUint16(at + CompactInode.offsets.mode, 0o030000, true);
      return at;
    },
  },
  {
    what: 'a name with a slash',
    code: 'EROFS_BAD_DIRECTORY',
    async do(patient) {
      const at = await patient.entry('a', 'one');
      const start = await patient.data('a');
      patient.bytes[start + patient.view.getUint16(at + 8, true) + 1] = 0x2f;
      return undefined;
    },
  },
  {
    what: 'names out of order',
    code: 'EROFS_BAD_DIRECTORY',
    async do(patient) {
      const at = await patient.entry('a', 'one');
      const start = await patient.data('a');
      patient.bytes[start + patient.view.getUint16(at + 8, true)] = 0x7a;
      return undefined;
    },
  },
  {
    what: 'an entry of the wrong type',
    code: 'EROFS_ENTRY_TYPE',
    async do(patient) {
      patient.bytes[(await patient.entry('a', 'one')) + 10] = 7;
      return await patient.inode('a/one');
    },
  },
  {
    what: 'a directory that lists itself',
    code: 'EROFS_TWO_PARENTS',
    judge: 'fsck',
    async do(patient) {
      const at = await patient.entry('a', 'one');
      patient.view.setUint32(at, (await patient.node('a')).nid, true);
      patient.bytes[at + 10] = 2;
      return await patient.inode('a');
    },
  },
  {
    what: 'a `..` that leads elsewhere',
    code: 'EROFS_DOTS',
    judge: 'fsck',
    async do(patient) {
      const at = await patient.entry('a', '..');
      patient.view.setUint32(at, (await patient.node('b')).nid, true);
      return await patient.inode('a');
    },
  },
  {
    what: 'attributes that end outside',
    code: 'EROFS_BAD_XATTR',
    options: { inodes: 'extended' },
    async do(patient) {
      const at = (await patient.inode('b/three')) + 64 + 12;
      patient.view.setUint16(at + 2, 0xffff, true);
      return at;
    },
  },
  {
    what: 'a link target with a zero',
    code: 'EROFS_BAD_INODE',
    async do(patient) {
      const { start } = await (await patient.node('link')).mapping(0);
      patient.bytes[start + 1] = 0;
      return await patient.inode('link');
    },
  },
  {
    what: 'a number of links that is wrong',
    code: 'EROFS_LINK_COUNT',
    options: { inodes: 'extended' },
    async do(patient) {
      const at = await patient.inode('a/one');
      patient.view.setUint32(at + ExtendedInode.offsets.nlink, 3, true);
      return at;
    },
  },
  {
    what: 'compressed data with a bit less',
    code: 'EROFS_BAD_DATA',
    judge: 'fsck',
    options: { compression: { compressor: 'lz4' } },
    async do(patient) {
      const { start, size } = await (await patient.node('b/three')).mapping(0);
      patient.bytes.fill(0xff, start + size - 40, start + size);
      return start;
    },
  },
];

describe('a check finds', () => {
  for (const { what, code, options, judge, unsealed, do: harm } of damages) {
    test(what, async () => {
      const bytes = await imageOf(plainTree(), options);
      const patient = new Patient(bytes, await openErofs(memorySource(bytes.slice())));
      const offset = await harm(patient);
      if (!unsealed) reseal(bytes);
      const { findings } = await checkErofs(memorySource(bytes));
      const found = findings.find((finding) => finding.code === code);
      assert.ok(found, JSON.stringify(findings));
      if (offset !== undefined) assert.equal(found.offset, offset);
      assert.ok(found.meaning.length > 0);
      using scratch = new Scratch();
      writeFileSync(scratch.at('image'), bytes);
      if (judge === 'fsck' && !noErofsUtils()) {
        assert.notEqual(spawnSync('fsck.erofs', ['--extract', scratch.at('image')]).status, 0);
      }
      if (judge === 'mount' && !noMount()) {
        assert.throws(() => new Mounted(scratch, scratch.at('image')));
      }
    });
  }
});

test('many findings are counted, a few kept', async () => {
  const bytes = await imageOf(plainTree());
  const patient = new Patient(bytes, await openErofs(memorySource(bytes.slice())));
  for (let count = 0; count < 100; count++) {
    const at = await patient.inode(`many/file-${count}`);
    patient.view.setUint16(at + CompactInode.offsets.mode, 0, true);
  }
  reseal(bytes);
  let told = 0;
  const report = await checkErofs(memorySource(bytes), { limit: 7, onFinding: () => told++ });
  assert.deepEqual([report.findings.length, report.errors, told], [7, 100, 100]);
});

/** Whether a walk with all reads raises nothing. */
async function readsWholly(bytes: Uint8Array): Promise<boolean> {
  try {
    const tree = await openErofs(memorySource(bytes));
    for await (const { node } of walk(tree)) {
      await node.xattrs();
      if (node.stat.type === 'symlink') await node.readLink();
      if (node.stat.type !== 'file') continue;
      for (let at = 0; at < Math.min(node.stat.size, 50_000_000); at += 1_000_000) {
        await node.read(at, 1_000_000);
      }
    }
    return true;
  } catch (error) {
    if (AnoleError.is(error)) return false;
    throw error;
  }
}

test('what a check finds sound reads wholly, however it is damaged', async () => {
  const images = [
    await imageOf(plainTree()),
    await imageOf(plainTree(), { compression: { compressor: 'lz4', tails: 'inline' } }),
  ];
  let sound = 0;
  for (let seed = 1; seed <= 400; seed++) {
    const bytes = damage(images[seed % images.length]!, random(seed));
    const { errors } = await checkErofs(memorySource(bytes), { limit: 0 });
    if (errors > 0) continue;
    sound++;
    assert.ok(await readsWholly(bytes), `with seed ${seed}`);
  }
  assert.ok(sound > 5);
});
