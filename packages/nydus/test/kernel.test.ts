import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { hostTree } from '@anole/host';
import { describeDifferences } from '@anole/vfs';
import { missing, noErofsUtils, noMount, run, Scratch } from '../../erofs/test/judges.ts';
import { edgeTree } from '../../erofs/test/trees.ts';
import type { RafsWriteOptions } from '../src/index.ts';
import { opened, written } from './written.ts';

/** The files that Linux takes: a bootstrap, and each blob decoded. */
async function filesOf(scratch: Scratch, options: Partial<RafsWriteOptions>) {
  const { bootstrap, blobs } = await written(edgeTree(), options);
  const boot = scratch.at('boot');
  writeFileSync(boot, bootstrap);
  const image = await opened(bootstrap, blobs);
  const devices: string[] = [];
  for (const blob of image.blobs) {
    const file = scratch.at(blob.info.id);
    writeFileSync(file, await blob.read(0, blob.size));
    devices.push(file);
  }
  return { boot, devices };
}

/** Files as block devices, until they go out of scope. */
class Loops implements Disposable {
  readonly paths: string[] = [];

  constructor(files: readonly string[]) {
    for (const file of files) {
      this.paths.push(run(['losetup', '--find', '--show', '--read-only', file]).toString().trim());
    }
  }

  [Symbol.dispose](): void {
    for (const path of this.paths) run(['losetup', '--detach', path]);
  }
}

const variants: readonly [string, Partial<RafsWriteOptions>][] = [
  ['as it comes', {}],
  ['with small chunks', { chunkSize: 4096, compressor: 'lz4_block' }],
  ['with batches', { batchSize: 131072, toc: false }],
  ['that lies in its blob', { inlineBootstrap: true }],
];

for (const [title, options] of variants) {
  test(`the kernel sees the tree that was written, by a bootstrap ${title}`, {
    skip: noMount() || missing('losetup') || missing('getfattr'),
  }, async () => {
    using scratch = new Scratch();
    const { boot, devices } = await filesOf(scratch, options);
    using loops = new Loops(devices);
    const at = scratch.at('mount');
    mkdirSync(at);
    const device = loops.paths.map((path) => `,device=${path}`).join('');
    run(['mount', '-t', 'erofs', '-o', `ro,loop${device}`, boot, at]);
    try {
      using seen = hostTree(at, { xattrs: true });
      assert.equal(await describeDifferences(edgeTree(), seen), '');
    } finally {
      run(['umount', at]);
    }
  });

  test(`fsck.erofs finds nothing wrong with a bootstrap ${title}`, {
    skip: noErofsUtils(),
  }, async () => {
    using scratch = new Scratch();
    const { boot, devices } = await filesOf(scratch, options);
    run(['fsck.erofs', ...devices.map((device) => `--device=${device}`), '--extract', boot]);
  });
}
