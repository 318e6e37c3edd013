import assert from 'node:assert/strict';
import {
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { memorySource } from '@anole/bytes';
import { checkErofs, type WriteOptions, writeErofs } from '@anole/erofs';
import { hostTree } from '@anole/host';
import { SourceThreads } from './source-threads.ts';

const base = mkdtempSync(join(tmpdir(), 'anole-copies-'));
after(() => rmSync(base, { recursive: true, force: true }));

/** Small files, tails of all lengths, files that are large, that are text, that do not shrink. */
const source = join(base, 'source');
const program = readFileSync(process.execPath).subarray(0, 24_000_000);
for (let directory = 0; directory < 8; directory++) {
  mkdirSync(join(source, `d\u00e4${directory}/below`), { recursive: true });
  for (let file = 0; file < 120; file++) {
    const start = file * 20_011 + directory;
    const path = join(source, `d\u00e4${directory}/below/file-${file}`);
    writeFileSync(path, program.subarray(start, start + file * 151 * (directory + 1)));
  }
}
writeFileSync(join(source, 'large'), program);
writeFileSync(join(source, 'block'), program.subarray(0, 4096));
writeFileSync(Buffer.concat([Buffer.from(`${source}/not-`), Buffer.of(0xff)]), 'bytes');
linkSync(join(source, 'block'), join(source, 'd\u00e40/link'));
symlinkSync('x'.repeat(4000), join(source, 'symlink'));

/** Byte of the file at which images begin. */
const START = 10_000;

async function byThreads(name: string, options: WriteOptions, meanwhile = () => {}, from = source) {
  const path = join(base, name);
  const fd = openSync(path, 'w');
  try {
    using tree = hostTree(from);
    const image = await writeErofs(tree, options);
    meanwhile();
    const { blockSize = 4096 } = options;
    await using all = new SourceThreads();
    const threads = all.copyTo(fd, START, blockSize);
    let copies = 0;
    for await (const part of image.parts({ copies: true })) {
      copies += part.copies?.length ?? 0;
      if (part.copies) await threads.put(part);
      else writeSync(fd, part.bytes, 0, part.bytes.length, START + part.offset);
    }
    await threads.finish();
    ftruncateSync(fd, START + image.size);
    return { copies, bytes: readFileSync(path).subarray(START) };
  } finally {
    closeSync(fd);
  }
}

async function byOne(options: WriteOptions, meanwhile = () => {}, from = source): Promise<Buffer> {
  using tree = hostTree(from);
  const parts: Uint8Array[] = [];
  const image = await writeErofs(tree, options);
  meanwhile();
  for await (const chunk of image) parts.push(chunk.slice());
  return Buffer.concat(parts);
}

const choices: Readonly<Record<string, WriteOptions>> = {
  plain: {},
  'without tails': { inlineTails: false },
  'of small blocks': { blockSize: 1024 },
  compressed: { compression: { compressor: 'lz4' } },
};

for (const [name, options] of Object.entries(choices)) {
  test(`an image ${name} is the same, whoever copies files into it`, async () => {
    const { copies, bytes } = await byThreads(name, options);
    assert.ok(copies > 0);
    assert.ok((await byOne(options)).equals(bytes));
  });
}

for (const blockSize of [512, 1024, 4096, 16_384]) {
  test(`the checksum covers a block of ${blockSize} bytes that metadata do not fill`, async () => {
    const single = join(base, `single-${blockSize}`);
    mkdirSync(single);
    // Whole blocks, so that no tail lies with the metadata.
    writeFileSync(join(single, 'disk'), program.subarray(0, 2 ** 20));
    const { copies, bytes } = await byThreads('single', { blockSize }, () => {}, single);
    assert.ok(copies > 0);
    assert.ok((await byOne({ blockSize }, () => {}, single)).equals(bytes));
    const { findings } = await checkErofs(memorySource(bytes));
    assert.deepEqual(findings, []);
  });
}

test('a file that another one has taken the place of is told, whoever meets it', async () => {
  const path = join(source, 'd\u00e43/below/file-9');
  const replace = () => {
    // Made while the first is there, so that it cannot have its number.
    writeFileSync(join(source, 'another'), program.subarray(0, 100));
    renameSync(join(source, 'another'), path);
  };
  const told = { code: 'EROFS_SOURCE_CHANGED', message: /file-9/ };
  await assert.rejects(byThreads('replaced', {}, replace), told);
  await assert.rejects(byOne({}, replace), told);
  await assert.rejects(
    byOne({}, () => rmSync(path)),
    told,
  );
});

for (const name of ['block', 'large', 'd\u00e42/below/file-7']) {
  test(`a file that is written to without becoming another size is told: ${name}`, async () => {
    const rewrite = () => {
      const fd = openSync(join(source, name), 'r+');
      writeSync(fd, 'else', 0);
      closeSync(fd);
    };
    const told = { code: 'EROFS_SOURCE_CHANGED', message: new RegExp(`/${name}: it is not`) };
    await assert.rejects(byThreads('written', {}, rewrite), told);
    await assert.rejects(byOne({}, rewrite), told);
  });
}

test('a file that is cut short is told', async () => {
  const cut = () => writeFileSync(join(source, 'large'), 'short');
  await assert.rejects(byThreads('cut', {}, cut), { code: 'EROFS_SOURCE_CHANGED' });
});
