import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { memorySource } from '@anole/bytes';
import { walk } from '@anole/vfs';
import { type ErofsNode, inspectErofs, openErofs, totalOf, UsageMeter } from '../src/index.ts';
import { noErofsUtils, run, Scratch } from './judges.ts';

const shared = new Scratch();
const source = shared.at('source');
before(() => {
  mkdirSync(`${source}/some/where`, { recursive: true });
  const program = readFileSync(process.execPath);
  writeFileSync(`${source}/program`, program.subarray(0, 2_000_000));
  writeFileSync(`${source}/some/again`, program.subarray(0, 1_000_000));
  writeFileSync(`${source}/some/where/small.txt`, 'small');
  writeFileSync(`${source}/noise.bin`, program.subarray(20_000_000, 20_050_000));
  if (existsSync('/usr/share/common-licenses')) {
    cpSync('/usr/share/common-licenses', `${source}/licenses`, { recursive: true });
  }
});
after(() => shared[Symbol.dispose]());

function dump(image: string, ...args: string[]): string {
  return spawnSync('dump.erofs', [...args, image], { encoding: 'utf8' }).stdout;
}

/** The table of extents of dump.erofs, as numbers. */
function extentsOf(text: string): number[][] {
  const rows = text.matchAll(/^ *\d+: +(\d+)\.\. *(\d+) \| +(\d+) : +(\d+)\.\. *(\d+) \| +(\d+)/gm);
  return [...rows].map(([, from, , length, start, , size]) =>
    [from, length, start, size].map(Number),
  );
}

async function mappingsOf(node: ErofsNode): Promise<number[][]> {
  const rows: number[][] = [];
  for (let at = 0; at < node.stat.size; ) {
    const { offset, length, start, size } = await node.mapping(at);
    rows.push([offset, length, start, size]);
    at = offset + length;
  }
  return rows;
}

for (const options of ['', '--chunksize=4096', '-zlz4', '-zlz4hc -C65536']) {
  test(`files of an image by mkfs.erofs ${options} lie where dump.erofs says`, {
    skip: noErofsUtils(),
  }, async () => {
    using scratch = new Scratch();
    const image = scratch.at('image');
    run(['mkfs.erofs', '--quiet', ...options.split(' ').filter(Boolean), image, source]);
    const tree = await openErofs(memorySource(readFileSync(image)));
    let compared = 0;
    for await (const { path, node } of walk(tree)) {
      const { type, size } = node.stat;
      if (type !== 'file' || size < 65_536) continue;
      const judged = extentsOf(dump(image, '-e', `--path=/${path}`));
      const seen = await mappingsOf(node as ErofsNode);
      // What dump.erofs shows of the last extent differs with the kind of tail.
      assert.deepEqual(seen.slice(0, -1), judged.slice(0, seen.length - 1), path);
      compared++;
    }
    assert.ok(compared >= 2);
  });
}

test('an inspection counts what dump.erofs counts', { skip: noErofsUtils() }, async () => {
  using scratch = new Scratch();
  const image = scratch.at('image');
  run(['mkfs.erofs', '--quiet', '-zlz4', image, source]);
  const tree = await openErofs(memorySource(readFileSync(image)));
  const found = await inspectErofs(tree);
  const judged = dump(image, '-S');
  const number = (label: string) => Number(new RegExp(`${label}:\\s+(\\d+)`).exec(judged)?.[1]);
  assert.equal(found.types.file, number('regular file count'));
  assert.equal(found.types.directory, number('directory count'));
  assert.equal(found.types.symlink ?? 0, number('symlink file count'));
  const { compressedCompact = 0, compressedFull = 0 } = found.layouts;
  assert.equal(compressedCompact + compressedFull, number('compressed files'));
  const { bytes, stored } = totalOf(found.files);
  assert.ok(bytes > 3_000_000 && stored < bytes);
  assert.ok((found.files.lz4?.stored ?? 0) > 0);
  assert.equal(found.top.get('some')?.files, 2);
  assert.equal(found.extensions.get('.txt')?.bytes, 5);
  assert.equal(
    found.sizes.reduce((sum, count) => sum + count),
    found.types.file,
  );
});

test('blocks that two files share count once', { skip: noErofsUtils() }, async () => {
  using scratch = new Scratch();
  const image = scratch.at('image');
  run(['mkfs.erofs', '--quiet', '--chunksize=4096', image, source]);
  const tree = await openErofs(memorySource(readFileSync(image)));
  const meter = new UsageMeter(tree);
  const [first, second] = [
    await tree.root.lookup('program'),
    await (await tree.root.lookup('some'))?.lookup('again'),
  ];
  const one = totalOf(await meter.measure(first!));
  const other = totalOf(await meter.measure(second!));
  assert.equal(other.bytes, 1_000_000);
  assert.ok(one.stored >= 2_000_000 * 0.9);
  // All but the last, partial block are those of the other file.
  assert.ok(other.stored <= 4096);
});
