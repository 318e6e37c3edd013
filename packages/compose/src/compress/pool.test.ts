import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type CompressionOptions, writeErofs } from '@anole/erofs';
import { hostTree } from '@anole/host';
import { CompressPool } from './pool.ts';

const base = mkdtempSync(join(tmpdir(), 'anole-pool-'));
after(() => rmSync(base, { recursive: true, force: true }));

const program = readFileSync(process.execPath).subarray(0, 12_000_000);
for (let directory = 0; directory < 6; directory++) {
  mkdirSync(join(base, `d${directory}/below`), { recursive: true });
  for (let file = 0; file < 50; file++) {
    const start = file * 30_011 + directory;
    const path = join(base, `d${directory}/below/file-${file}`);
    writeFileSync(path, program.subarray(start, start + file * 351 * (directory + 1)));
  }
}
writeFileSync(join(base, 'large'), program);

async function imageOf(compression: CompressionOptions): Promise<Buffer> {
  using tree = hostTree(base);
  const parts: Uint8Array[] = [];
  for await (const chunk of await writeErofs(tree, { compression })) parts.push(chunk.slice());
  return Buffer.concat(parts);
}

for (const tails of ['plain', 'inline', 'fragment'] as const) {
  test(`files that threads read and compress give the same image, tails ${tails}`, async () => {
    await using pool = new CompressPool(2);
    const compression = { compressor: 'lz4', pclusterSize: 16384, tails } as const;
    const together = await imageOf({ ...compression, lanes: pool.lanes });
    assert.ok(together.equals(await imageOf(compression)));
  });
}

test('a file that has changed when a thread comes to read it is told', async () => {
  await using pool = new CompressPool(1);
  using tree = hostTree(base);
  const path = join(base, 'd5/below/file-40');
  let whole = true;
  const cut = (variants: Parameters<typeof pool.lanes>[0]) => {
    const { acquire } = pool.lanes(variants);
    return {
      acquire() {
        if (whole) writeFileSync(path, 'shorter');
        whole = false;
        return acquire();
      },
    };
  };
  const written = writeErofs(tree, { compression: { compressor: 'lz4', lanes: cut } });
  await assert.rejects(written, {
    code: 'EROFS_SOURCE_CHANGED',
    message: /file-40: it is not what/,
  });
});
