import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { memorySource } from '../source.ts';
import { VERITY_BLOCK, VerityBuilder, verifiedSource } from './index.ts';

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();

function protect(data: Uint8Array, piece = data.length) {
  const builder = new VerityBuilder(digest);
  for (let at = 0; at < data.length; at += piece) builder.update(data.subarray(at, at + piece));
  const { rootHash, bytes } = builder.finish();
  const whole = new Uint8Array(data.length + bytes.length);
  whole.set(data);
  whole.set(bytes, data.length);
  return { whole, rootHash, size: data.length };
}

function open(whole: Uint8Array, size: number, rootHash: Uint8Array) {
  return verifiedSource(memorySource(whole), { size, hashOffset: size, rootHash, digest });
}

function pattern(blocks: number): Uint8Array {
  const data = new Uint8Array(blocks * VERITY_BLOCK);
  for (let i = 0; i < data.length; i++) data[i] = (i * 31 + (i >> 12) * 7) & 255;
  return data;
}

const veritysetup = spawnSync('veritysetup', ['--version']).status === 0;
const skip = veritysetup ? false : 'needs veritysetup (Debian: cryptsetup-bin)';

// One block has no level, 128 have one, 129 two, 16,385 three.
for (const blocks of [1, 2, 128, 129, 16_385]) {
  test(`veritysetup accepts the hashes of ${blocks} blocks`, { skip }, () => {
    const directory = mkdtempSync(join(tmpdir(), 'verity-'));
    try {
      const { whole, rootHash, size } = protect(pattern(blocks), 5000);
      const path = join(directory, 'image');
      writeFileSync(path, whole);
      const root = Buffer.from(rootHash).toString('hex');
      const args = ['verify', path, path, root, '--hash-offset', String(size)];
      const run = spawnSync('veritysetup', args, { encoding: 'utf8' });
      assert.equal(run.status, 0, run.stderr);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
}

test('what is read is what was protected, whatever the range', async () => {
  const data = pattern(300);
  const { whole, rootHash, size } = protect(data);
  const source = open(whole, size, rootHash);
  const range = fc.tuple(fc.nat(size), fc.nat(20_000));
  await fc.assert(
    fc.asyncProperty(range, async ([offset, wanted]) => {
      const length = Math.min(wanted, size - offset);
      const got = await source.read(offset, length);
      assert.deepEqual(Buffer.from(got), Buffer.from(data.subarray(offset, offset + length)));
    }),
    { numRuns: 200, seed: 1 },
  );
});

test('a changed bit is noticed, in the data and in each level of hashes', async () => {
  const { whole, rootHash, size } = protect(pattern(300));
  // The blocks of hashes: superblock, the topmost, then the three of the data's digests.
  for (const at of [0, 77 * VERITY_BLOCK + 5, size + VERITY_BLOCK, size + 2 * VERITY_BLOCK + 99]) {
    const damaged = whole.slice();
    damaged[at]! ^= 0x10;
    const block = at < size ? Math.floor(at / VERITY_BLOCK) : 3;
    const source = open(damaged, size, rootHash);
    await assert.rejects(async () => source.read(block * VERITY_BLOCK, 10), {
      code: 'VERITY_WRONG_DATA',
    });
  }
});

test('another root hash makes nothing readable', async () => {
  const { whole, rootHash, size } = protect(pattern(1));
  const other = rootHash.map((byte) => byte ^ 1);
  await assert.rejects(async () => open(whole, size, other).read(0, 1), {
    code: 'VERITY_WRONG_DATA',
  });
});

test('data that are no whole blocks, and hashes that are cut off, are refused', () => {
  const builder = new VerityBuilder(digest);
  builder.update(new Uint8Array(5000));
  assert.throws(() => builder.finish(), { code: 'VERITY_BAD_SIZE' });
  const { whole, rootHash, size } = protect(pattern(300));
  assert.throws(() => open(whole.subarray(0, whole.length - 1), size, rootHash), {
    code: 'SOURCE_OUT_OF_RANGE',
  });
});
