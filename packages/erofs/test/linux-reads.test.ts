import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { memorySource, viewOf } from '@anole/bytes';
import { zlibEncoders } from '@anole/host/encoders';
import { MemoryTree } from '@anole/vfs';
import fc from 'fast-check';
import { checkErofs, type ErofsNode, type Finding, openErofs } from '../src/index.ts';
import { INCOMPAT_ZERO_PADDING, Superblock } from '../src/layout/superblock.ts';
import { random, reseal } from './damage.ts';
import { imageOf, Mounted, noMount, Scratch } from './judges.ts';

const BLOCK = 4096;

/** Numbers of Linux: Node does not know the second. */
const EIO = 5;
const EUCLEAN = 117;

interface Sequence {
  readonly literals: number;
  readonly match: number;
  readonly distance: number;
}

/** Sequences, then literals, as an LZ4 block; and how many bytes they decode to. */
function lz4Block(sequences: readonly Sequence[], last: number): { block: number[]; size: number } {
  const block: number[] = [];
  let size = 0;
  const more = (length: number): void => {
    let rest = length - 15;
    for (; rest >= 255; rest -= 255) block.push(255);
    if (rest >= 0) block.push(rest);
  };
  const literals = (count: number, token: number): void => {
    block.push((Math.min(15, count) << 4) | token);
    more(count);
    for (let index = 0; index < count; index++) block.push(33 + ((size + index) % 90));
    size += count;
  };
  for (const sequence of sequences) {
    literals(sequence.literals, Math.min(15, sequence.match - 4));
    block.push(sequence.distance & 255, sequence.distance >> 8);
    more(sequence.match - 4);
    size += sequence.match;
  }
  literals(last, 0);
  return { block, size };
}

/** What a pcluster is made to hold. */
interface Stored {
  readonly bytes: readonly number[];
  /** Bytes of the file. */
  readonly size: number;
}

/** An image of files 0, 1 …, each of one pcluster with those bytes at its end, or its start without padding. */
async function imageWith(all: readonly Stored[], isPadded: boolean): Promise<Uint8Array> {
  const source = new MemoryTree();
  all.forEach(({ size }, index) => {
    // No two alike, which would be stored once.
    const content = new Uint8Array(size).fill(index & 255);
    content[1000] = index >> 8;
    source.putFile(`${index}`, content);
  });
  const image = await imageOf(source, { compression: { compressor: 'lz4', pclusterSize: BLOCK } });
  const tree = await openErofs(memorySource(image));
  for (const [index, { bytes, size }] of all.entries()) {
    const node = (await tree.root.lookup(`${index}`)) as ErofsNode;
    const mapping = await node.mapping(0);
    assert.deepEqual([mapping.length, mapping.algorithm], [size, 'lz4']);
    const { start, size: room } = mapping;
    image.fill(0, start, start + room);
    image.set(bytes, isPadded ? start + room - bytes.length : start);
  }
  const view = viewOf(image);
  const at = 1024 + Superblock.offsets.featureIncompat;
  if (!isPadded) view.setUint32(at, view.getUint32(at, true) & ~INCOMPAT_ZERO_PADDING, true);
  reseal(image);
  return image;
}

/** By the number of its file, what the checker says. */
async function findingsOf(image: Uint8Array): Promise<Map<number, Finding>> {
  const { findings } = await checkErofs(memorySource(image), { limit: 100_000 });
  return new Map(findings.map((finding) => [Number(finding.path?.slice(1)), finding]));
}

/** Numbers of the files that Linux does not read. */
function refusedByLinux(image: Uint8Array, count: number): number[] {
  using scratch = new Scratch();
  using mounted = new Mounted(scratch, image);
  return Array.from({ length: count }, (_, index) => index).filter((index) => {
    try {
      readFileSync(`${mounted.path}/${index}`);
      return false;
    } catch (error) {
      assert.ok([EIO, EUCLEAN].includes(-(error as NodeJS.ErrnoException).errno!), String(error));
      return true;
    }
  });
}

/** Of what is longer than a block: so many bytes by one match, then what is tried. */
function ending(sequences: readonly Sequence[], last: number, filled = 4200): Stored {
  const { block, size } = lz4Block(
    [{ literals: 1, match: filled, distance: 1 }, ...sequences],
    last,
  );
  return { bytes: block, size };
}

const sequence = fc.record({
  literals: fc.nat(20),
  match: fc.integer({ min: 4, max: 24 }),
  distance: fc.integer({ min: 1, max: 20 }),
});

/** Ends of blocks on both sides of each rule: how many bytes before the end the last match begins, and ends. */
const rules: readonly { readonly is: Stored; readonly message?: RegExp }[] = [
  { is: ending([{ literals: 0, match: 7, distance: 1 }], 5) },
  { is: ending([{ literals: 0, match: 6, distance: 1 }], 5), message: /begins 11 bytes before/ },
  { is: ending([{ literals: 0, match: 4, distance: 1 }], 8) },
  { is: ending([{ literals: 0, match: 4, distance: 1 }], 7), message: /begins 11 bytes before/ },
  { is: ending([{ literals: 3, match: 40, distance: 2 }], 5) },
  { is: ending([{ literals: 3, match: 40, distance: 2 }], 4), message: /ends 4 bytes before/ },
  {
    is: ending([{ literals: 3, match: 40, distance: 2 }], 0),
    message: /4 bytes follow the last literals but one/,
  },
  // Where a token's literals and match are both short and long enough, Linux looks at neither.
  { is: ending([{ literals: 14, match: 18, distance: 8 }], 0) },
  { is: ending([{ literals: 14, match: 18, distance: 7 }], 0), message: /ends 0 bytes before/ },
  { is: ending([{ literals: 13, match: 18, distance: 8 }], 0), message: /3 bytes follow/ },
  { is: ending([{ literals: 13, match: 18, distance: 8 }], 1) },
  { is: ending([], 0), message: /less than 6 bytes follow the length/ },
  { is: ending([], 5) },
  { is: ending([], 4), message: /ends 4 bytes before/ },
];

test('fs check names the ends of LZ4 blocks that Linux refuses, and reads them', async () => {
  const image = await imageWith(
    rules.map(({ is }) => is),
    true,
  );
  const findings = await findingsOf(image);
  for (const [index, { message }] of rules.entries()) {
    const found = findings.get(index);
    assert.equal(found?.code, message && 'EROFS_LINUX_REFUSES', `${index}: ${found?.message}`);
    if (message) assert.match(found!.message, message);
  }
});

test('Linux refuses those, and no others', { skip: noMount() }, async () => {
  const image = await imageWith(
    rules.map(({ is }) => is),
    true,
  );
  const expected = [...rules.keys()].filter((index) => rules[index]!.message !== undefined);
  assert.deepEqual(refusedByLinux(image, rules.length), expected);
});

test('of any end of a block, fs check says what Linux says', { skip: noMount() }, async () => {
  const all = fc.sample(
    fc
      .tuple(fc.array(sequence, { maxLength: 3 }), fc.nat(20))
      .map(([some, last]) => ending(some, last)),
    { seed: 1, numRuns: 1000 },
  );
  const image = await imageWith(all, true);
  const refused = refusedByLinux(image, all.length);
  assert.ok(refused.length > 200 && refused.length < 800, `${refused.length}`);
  assert.deepEqual(
    [...(await findingsOf(image)).keys()].sort((a, b) => a - b),
    refused,
  );
});

/** A match so far back, behind bytes that differ from page to page. */
function reaching(distance: number): Stored {
  const pages = Array.from({ length: 4 }, () => ({ literals: 30, match: 4066, distance: 30 }));
  const { block, size } = lz4Block([...pages, { literals: 0, match: 3000, distance }], 1000);
  return { bytes: block, size };
}

test('fs check names matches that reach farther back than the superblock says, by whole pages', async () => {
  const distances = [4096, 4097, 8192, 8193, 12_000];
  const image = await imageWith(distances.map(reaching), true);
  for (const [said, wrong] of [
    [0, []],
    [65_535, []],
    [12_000, []],
    [4097, [3, 4]],
    [4096, [1, 2, 3, 4]],
    [1, [1, 2, 3, 4]],
  ] as const) {
    const at = 1024 + Superblock.offsets.compressionAlgorithms;
    viewOf(image).setUint16(at, said, true);
    reseal(image);
    const findings = await findingsOf(image);
    assert.deepEqual([...findings.keys()].sort(), wrong, `${said}`);
    for (const { code, message } of findings.values()) {
      assert.equal(code, 'EROFS_LZ4_DISTANCE');
      assert.match(message, new RegExp(`bytes back, the superblock says ${said} at most`));
    }
  }
});

/** A block of 4096 bytes, of which `cut` bytes of what it decodes to are not wanted. */
function filling(sequences: readonly Sequence[], last: number, cut: number): Stored {
  const made = (literals: number) =>
    lz4Block([{ literals, match: 200, distance: 1 }, ...sequences], last);
  const literals = 3900 + BLOCK - made(3900).block.length;
  const { block, size } = made(literals);
  // Another byte of length may have come.
  const rest = block.length - BLOCK;
  return rest === 0 ? { bytes: block, size: size - cut } : filling(sequences, last + 1, cut);
}

test('of blocks that are decoded in part, too', { skip: noMount() }, async () => {
  const all = fc
    .sample(fc.tuple(fc.array(sequence, { maxLength: 3 }), fc.nat(20), fc.nat(30)), {
      seed: 2,
      numRuns: 1000,
    })
    .map(([some, last, cut]) => filling(some, last, cut));
  const image = await imageWith(all, false);
  const refused = refusedByLinux(image, all.length);
  assert.ok(refused.length > 20 && refused.length < 980, `${refused.length}`);
  assert.deepEqual(
    [...(await findingsOf(image)).keys()].sort((a, b) => a - b),
    refused,
  );
});

for (const compressor of ['lz4', 'lzma', 'deflate', 'zstd'] as const) {
  test(`zeros before ${compressor} data may not fill the first block`, {
    skip: noMount(),
  }, async () => {
    const source = new MemoryTree();
    const below = random(1);
    const noise = Uint8Array.from({ length: 16_384 }, (_, at) => (at < 6000 ? below(256) : 0));
    source.putFile('0', noise);
    source.putFile('1', new Uint8Array(16_384));
    const image = await imageOf(source, {
      compression: { compressor, encoders: zlibEncoders, pclusterSize: 2 * BLOCK },
    });
    const { root } = await openErofs(memorySource(image));
    const [two, one] = await Promise.all(
      ['0', '1'].map(async (name) => ((await root.lookup(name)) as ErofsNode).mapping(0)),
    );
    assert.deepEqual([two!.size, two!.length, one!.size], [2 * BLOCK, 16_384, BLOCK]);
    image.fill(0, two!.start, two!.start + BLOCK);
    image.copyWithin(two!.start + BLOCK, one!.start, one!.start + BLOCK);
    const found = (await findingsOf(image)).get(0);
    assert.equal(found?.code, 'EROFS_LINUX_REFUSES');
    assert.equal(found.offset, two!.start);
    assert.deepEqual(refusedByLinux(image, 2), [0]);
  });
}
