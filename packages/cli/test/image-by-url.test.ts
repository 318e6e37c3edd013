import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  checkErofs,
  type ErofsNode,
  openErofs,
  UsageMeter,
  type WriteOptions,
  writeErofs,
} from '@anole/erofs';
import { hostDecoders } from '@anole/host';
import { MemoryTree, walk } from '@anole/vfs';
import { RangeServer } from '../../bytes/test/range-server.ts';
import { openSource } from '../src/fs/image.ts';

const bytes = new Uint8Array(readFileSync(process.execPath).subarray(0, 4_000_000));
const forms: Readonly<Record<string, WriteOptions>> = {
  'as they are': {},
  compressed: { compression: { compressor: 'lz4' } },
};

/** Files of up to two blocks, of which most directories come in another order than their names. */
async function imageOf(options: WriteOptions): Promise<Uint8Array> {
  const tree = new MemoryTree();
  for (let index = 0; index < 3000; index++) {
    const start = (index * 104_729) % 3_900_000;
    const data = bytes.subarray(start, start + ((index * 7919) % 8192));
    tree.putFile(`usr/directory-${(index * 37) % 100}/file-${index}`, data);
  }
  const parts: Uint8Array[] = [];
  const image = await writeErofs(tree, options);
  for await (const part of image.parts()) parts.push(new Uint8Array(part.bytes));
  return Buffer.concat(parts);
}

for (const [form, options] of Object.entries(forms)) {
  test(`an image is checked and measured by URL in a request for 64 KiB at least: files ${form}`, async () => {
    const image = await imageOf(options);
    await using server = new RangeServer(image);
    const url = await server.listen();
    const most = 2 + image.length / 65_536;
    const { signal } = new AbortController();

    await using checked = await openSource(url, 'much', signal);
    const report = await checkErofs(checked, { decoders: hostDecoders });
    assert.deepEqual([report.errors, report.inodes], [0, 3102]);
    assert.ok(server.asked.length <= most, `${server.asked.length} requests to check`);

    server.asked.length = 0;
    await using measured = await openSource(url, 'much', signal);
    const opened = await openErofs(measured, { decoders: hostDecoders });
    const meter = new UsageMeter(opened);
    for await (const { node } of walk(opened)) await meter.measure(node as ErofsNode);
    assert.ok(server.asked.length <= most, `${server.asked.length} requests to measure`);
  });
}
