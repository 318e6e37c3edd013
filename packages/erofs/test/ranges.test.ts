import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { httpSource } from '@anole/bytes';
import { findNode, MemoryTree } from '@anole/vfs';
import { RangeServer } from '../../bytes/test/range-server.ts';
import { utf8 } from '../../vfs/test/trees.ts';
import { type ErofsNode, openErofs, type WriteOptions } from '../src/index.ts';
import { imageOf } from './judges.ts';

const PATH = 'usr/lib/deep/down/large';
const PCLUSTER = 65_536;
/** What may be fetched beyond a file's own blocks. */
const METADATA_MAX = 65_536;

const large = new Uint8Array(readFileSync(process.execPath).subarray(0, 1_500_000));

/** A large file among thousands. */
function tree(): MemoryTree {
  const tree = new MemoryTree();
  for (let index = 0; index < 3000; index++) {
    tree.putFile(`usr/lib/deep/library-${index}.so.${index}`, utf8(`number ${index}\n`));
  }
  for (let index = 0; index < 500; index++) {
    tree.putFile(`usr/share/other-${index}`, large.subarray(index * 100, index * 110));
  }
  tree.putFile(PATH, large);
  return tree;
}

const lz4 = { compressor: 'lz4', pclusterSize: PCLUSTER } as const;

/** How files are stored, and what is decoded of the packed inode for the end of one at most. */
const forms: Readonly<Record<string, readonly [options: WriteOptions, packed: number]>> = {
  'as they are': [{}, 0],
  'in chunks': [{ chunks: { size: 4096, indexes: true } }, 0],
  'in pclusters of a block': [{ compression: { compressor: 'lz4' } }, 0],
  'in large pclusters': [{ compression: lz4 }, 0],
  'with ends beside inodes': [{ compression: { ...lz4, tails: 'inline' } }, 0],
  'with ends in fragments': [{ compression: { ...lz4, tails: 'fragment', dedupe: true } }, 2],
};

for (const [form, [options, packed]] of Object.entries(forms)) {
  test(`a file is read over HTTP for its blocks and at most 64 KiB: stored ${form}`, async () => {
    const image = await imageOf(tree(), options);
    await using server = new RangeServer(Buffer.from(image));
    const opened = await openErofs(await httpSource(await server.listen()));
    const node = (await findNode(opened, PATH)) as ErofsNode;
    assert.ok(Buffer.from(await node.read(0, large.length)).equals(large));
    const { sent } = server;
    let blocks = 0;
    for (let at = 0; at < large.length; ) {
      const { offset, length, size } = await node.mapping(at);
      blocks += size;
      at = offset + length;
    }
    const more = sent - blocks - packed * PCLUSTER;
    assert.ok(more <= METADATA_MAX, `${more} bytes beyond the file's own ${blocks}`);
  });
}
