import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { MemoryTree } from '@anole/vfs';
import fc from 'fast-check';
import { openImage, parsePlatform } from '../../index.ts';
import { RawLayout, tarOf } from '../../testing/images.ts';
import { temporary } from '../../testing/tools.ts';
import { Chunker } from '../chunker.ts';
import { LayoutDirectory, planImages } from '../index.ts';
import { CompressionSample } from './sample.ts';

/** Bytes that nothing compresses, the same in every run. */
function noise(seed: string, outputLength: number): Uint8Array {
  return createHash('shake256', { outputLength }).update(seed).digest();
}

const KIB = 1024;
const MIB = 1024 * KIB;

function chunks(
  kind: 'fixed' | 'content',
  size: number,
  bytes: Uint8Array,
  step = 10_000,
): Buffer[] {
  const chunker = new Chunker({ kind, size });
  const found: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += step) {
    for (const chunk of chunker.add(bytes.subarray(at, at + step))) found.push(Buffer.from(chunk));
  }
  for (const chunk of chunker.end()) found.push(Buffer.from(chunk));
  return found;
}

describe('chunks', () => {
  const bytes = randomBytes(3 * MIB);

  it('are all of a file, of the size that is wanted, however its bytes come', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(64 * KIB, 256 * KIB),
        fc.integer({ min: 1, max: 500_000 }),
        (size, step) => {
          const fixed = chunks('fixed', size, bytes, step);
          assert.ok(Buffer.concat(fixed).equals(bytes));
          assert.ok(fixed.slice(0, -1).every(({ length }) => length === size));
          const content = chunks('content', size, bytes, step);
          assert.ok(Buffer.concat(content).equals(bytes));
          assert.ok(
            content.slice(0, -1).every(({ length }) => length >= size / 4 && length <= size * 4),
          );
          assert.deepEqual(content, chunks('content', size, bytes));
        },
      ),
      { seed: 1, numRuns: 12 },
    );
  });

  it('by content are of the average that is wanted, and the same again behind an insertion', () => {
    const before = chunks('content', 16 * KIB, bytes);
    const average = bytes.length / before.length;
    assert.ok(average > 11 * KIB && average < 23 * KIB, String(average));
    const longer = Buffer.concat([
      bytes.subarray(0, 1000),
      Buffer.from('more'),
      bytes.subarray(1000),
    ]);
    const known = new Set(before.map((chunk) => chunk.toString('latin1')));
    const after = chunks('content', 16 * KIB, longer);
    const fresh = after.filter((chunk) => !known.has(chunk.toString('latin1')));
    assert.ok(fresh.length <= 3, `${fresh.length} of ${after.length}`);
    const moved = chunks('fixed', 16 * KIB, longer);
    assert.ok(moved.every((chunk) => !known.has(chunk.toString('latin1'))));
  });
});

describe('a plan', () => {
  const same = randomBytes(2 * MIB);
  const text = Buffer.from('all work and no play '.repeat(60_000));

  /** Two images of one layer each, which share a file. */
  async function images(directory: string) {
    const raw = new RawLayout(directory);
    for (const [tag, own] of [
      ['one', randomBytes(MIB)],
      ['two', text],
    ] as const) {
      const tree = new MemoryTree();
      tree.putFile('same', same);
      tree.putFile('own', own);
      const image = raw.image({ platform: 'linux/amd64', layers: [{ tar: await tarOf(tree) }] });
      raw.name(image, tag);
    }
    const reader = new LayoutDirectory(directory);
    const open = async (tag: string) =>
      openImage(reader, await reader.resolve(tag), parsePlatform('linux/amd64'));
    return [await open('one'), await open('two')];
  }

  it('counts equal chunks once, and what compression really gives where all is tried', async (test) => {
    const set = await images(temporary(test));
    const chunkings = [{ kind: 'fixed', size: MIB } as const];
    const report = await planImages(set, { chunkings });
    assert.equal(report.images, 2);
    assert.equal(report.layers, 2);
    assert.equal(
      report.now,
      set.reduce((sum, { manifest }) => sum + manifest.layers[0]!.size, 0),
    );
    assert.equal(report.files, 2 * same.length + MIB + text.length);
    const plan = (shared: boolean, compressor: string) =>
      report.plans.find((each) => each.shared === shared && each.compressor === compressor)!;
    // Chunks of text: one whole, one of the rest.
    assert.equal(plan(false, 'none').chunks, 2 + 1 + 2 + 2);
    assert.equal(plan(true, 'none').chunks, 2 + 1 + 2);
    const references = 7 * 88;
    const plain = plan(true, 'none').stored;
    assert.deepEqual(plain, {
      bytes: same.length + MIB + text.length + references + 5 * 16,
      error: 0,
    });
    const packed = [text.subarray(0, MIB), text.subarray(MIB)].map(
      (part) => zstdCompressSync(part).length,
    );
    const zstd = same.length + MIB + packed[0]! + packed[1]! + references + 5 * 16;
    assert.deepEqual(plan(true, 'zstd').stored, { bytes: zstd, error: 0 });
    assert.equal(plan(true, 'zstd').saved, 1 - zstd / report.now);
    assert.equal(report.cheapest, plan(true, 'zstd'));
  });

  it('that tries a sample says so, and how exact it is', async (test) => {
    const set = await images(temporary(test));
    const chunkings = [{ kind: 'fixed', size: 16 * KIB } as const];
    const exact = await planImages(set, { chunkings });
    const sampled = await planImages(set, { chunkings, sampled: MIB });
    const zstd = ({ plans }: typeof exact) =>
      plans.find(({ shared, compressor }) => shared && compressor === 'zstd')!;
    assert.equal(zstd(exact).sampled, 1);
    assert.ok(zstd(sampled).sampled < 0.5);
    const { bytes, error } = zstd(sampled).stored;
    assert.ok(error > 0);
    assert.ok(Math.abs(bytes - zstd(exact).stored.bytes) < 1.5 * error, `${bytes} ± ${error}`);
  });

  it('says of chunks that count in each layer what they take there, not what they take once', async (test) => {
    // Six layers have the same text, each some noise of its own: of the chunks that are told apart, most are noise.
    const raw = new RawLayout(temporary(test));
    const tags = Array.from({ length: 6 }, (_, number) => String(number));
    const lines = Buffer.from(Array.from({ length: 60_000 }, (_, at) => `line ${at}\n`).join(''));
    for (const tag of tags) {
      const tree = new MemoryTree();
      tree.putFile('same', lines);
      tree.putFile('own', noise(tag, MIB / 2));
      const image = raw.image({ platform: 'linux/amd64', layers: [{ tar: await tarOf(tree) }] });
      raw.name(image, tag);
    }
    const reader = new LayoutDirectory(raw.directory);
    const set = await Promise.all(
      tags.map(async (tag) =>
        openImage(reader, await reader.resolve(tag), parsePlatform('linux/amd64')),
      ),
    );
    const chunkings = [{ kind: 'fixed', size: 16 * KIB } as const];
    const alone = (sampled?: number) =>
      planImages(set, { chunkings, ...(sampled !== undefined && { sampled }) }).then(
        ({ plans }) =>
          plans.find(({ shared, compressor }) => !shared && compressor === 'zstd')!.stored,
      );
    const parts: number[] = [];
    for (let at = 0; at < lines.length; at += 16 * KIB) {
      parts.push(zstdCompressSync(lines.subarray(at, at + 16 * KIB)).length);
    }
    const compressed = parts.reduce((sum, size) => sum + size, 0);
    const chunks = 6 * (parts.length + MIB / 2 / (16 * KIB));
    const exact = 6 * (compressed + MIB / 2) + chunks * 104;
    assert.deepEqual(await alone(), { bytes: exact, error: 0 });
    const { bytes, error } = await alone(MIB);
    assert.ok(Math.abs(bytes - exact) < 1.5 * error, `${bytes} ± ${error} for ${exact}`);
  });

  it('knows nothing by one chunk', () => {
    const sample = new CompressionSample(1);
    sample.add(new Uint8Array(4096), 'a', 1);
    sample.add(noise('b', 4096), 'b', 2 ** 31 + 1);
    assert.ok(sample.share < 1);
    const { bytes, error } = sample.estimate(8192, 'zstd', false);
    assert.equal(bytes + error, 8192);
  });
});
