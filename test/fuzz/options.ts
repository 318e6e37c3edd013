import { memorySource, viewOf } from '@anole/bytes';
import { checkErofs, labelsBy, openErofs, type WriteOptions, writeErofs } from '@anole/erofs';
import { zlibEncoders } from '@anole/host/encoders';
import { describeDifferences, MemoryTree } from '@anole/vfs';
import { collect } from '../../packages/vfs/test/trees.ts';
import { Met } from './met.ts';
import type { Target } from './targets.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Files of every size that options decide about, few enough to be quick. */
const tree = new MemoryTree();
for (const [at, size] of [0, 1, 511, 4096, 5000, 20_000].entries()) {
  const text = encoder.encode(`${at} `.repeat(size)).subarray(0, size);
  const xattrs = new Map([['user.kept.x', text.subarray(0, 20)]]);
  tree.putFile(`d${at % 2}/f${at}`, text, { xattrs, mtime: { seconds: at, nanoseconds: at % 2 } });
}
tree.putSymlink('d0/link', '../d1');
tree.putLink('d0/again', 'd1/f5');

/** Larger images of so few files are padding. */
const LARGEST = 2 ** 24;
const NUMBERS = 20;
const compressors = ['lz4', 'lz4hc', 'lzma', 'deflate', 'zstd'] as const;
const tails = ['inline', 'fragment'] as const;
const inodes = ['auto', 'extended', 'compact'] as const;

/** Numbers of 32 bits that stand for options, a bit for each that is given, and two lines of text. */
function optionsOf(bytes: Uint8Array): WriteOptions {
  const view = viewOf(bytes);
  const number = (at: number) => (at * 4 + 4 <= bytes.length ? view.getInt32(at * 4, true) : 0);
  const bits = number(0);
  const has = (bit: number) => ((bits >>> bit) & 1) !== 0;
  const given = (name: string, bit: number) => (has(bit) ? { [name]: number(bit + 1) } : {});
  const [lines = '', prefix = ''] = decoder.decode(bytes.subarray(NUMBERS * 4)).split('\0');
  const tail = tails[((number(19) >> 3) & 3) - 1];
  const compression = has(8) && {
    compressor: compressors[number(19) & 7] ?? 'lz4',
    dedupe: has(24),
    directories: has(25),
    encoders: zlibEncoders,
    ...(tail && { tails: tail }),
    ...{ ...given('pclusterSize', 9), ...given('level', 10), ...given('windowSize', 11) },
    ...{ ...given('maxExtentBytes', 12), ...given('packedPclusterSize', 13) },
    ...(has(14) && { metadata: { compressor: 'lz4', pclusterSize: number(15) } as const }),
  };
  return {
    ...{ ...given('blockSize', 0), ...given('buildTime', 1), ...given('xattrTolerance', 2) },
    ...{ ...given('dataAlignment', 3), ...given('sizeAlignment', 4) },
    ...(has(5) && { time: { seconds: number(6), nanoseconds: number(7) } }),
    ...(has(6) && { owners: { uidOffset: number(7), gid: number(8) } }),
    ...(has(7) && { chunks: { size: number(8) } }),
    ...(compression && { compression }),
    ...(has(16) && { label: labelsBy(lines) }),
    ...(has(17) && { xattrPrefixes: prefix.split(' ') }),
    ...(has(18) && { volumeName: prefix }),
    inodes: inodes[(bits >>> 26) & 3] ?? 'auto',
    ...{ compactTimes: has(28), listDots: !has(29), inlineTails: !has(30) },
  };
}

function seed(bits: readonly number[], numbers: Readonly<Record<number, number>>): Uint8Array {
  const head = new Uint8Array(NUMBERS * 4);
  const view = viewOf(head);
  view.setInt32(
    0,
    bits.reduce((sum, bit) => sum | (1 << bit), 0),
    true,
  );
  for (const [at, value] of Object.entries(numbers)) view.setInt32(Number(at) * 4, value, true);
  const text = encoder.encode('/d0(/.*)? -- a:b\n/d1/f\\d <<none>>\n\0user.kept.');
  return Uint8Array.from([...head, ...text]);
}

const plain = { 1: 512, 2: 5, 3: 2, 4: 4096, 5: 8192, 6: 7, 7: 9, 8: 4096 };
const compressed = { 1: 4096, 10: 8192, 11: 3, 12: 65_536, 13: 8192, 14: 4096, 15: 4096, 19: 18 };

/** Options of the writer: an error with a code, or an image that is sound and holds the tree. */
export const options: Target = {
  name: 'options',
  seeds: new Map([
    ['options-plain', seed([0, 1, 2, 5, 16, 17, 18], plain)],
    ['options-chunks', seed([3, 4, 6, 7], plain)],
    ['options-lz4', seed([0, 8, 9, 12, 17], { ...compressed, 19: 8 })],
    ['options-zstd', seed([8, 9, 10, 11, 13, 24, 25, 28], { ...compressed, 19: 20 })],
    ['options-metabox', seed([8, 9, 14, 16, 17, 28], { ...compressed, 19: 1 })],
  ]),
  async run(bytes) {
    const met = new Met();
    await met.attempt(async () => {
      const chosen = optionsOf(bytes);
      const image = await writeErofs(tree, chosen);
      if (image.size > LARGEST) return;
      const source = memorySource(await collect(image));
      const { findings } = await checkErofs(source);
      if (findings.length > 0) throw new Error(`its own image: ${findings[0]!.message}`);
      const ignore = ['mtime', 'owner', 'xattr'] as const;
      const differences = await describeDifferences(tree, await openErofs(source), { ignore });
      if (differences) throw new Error(differences);
      const { compressor, tails: tail } = chosen.compression ?? {};
      met.kinds.add(`image ${compressor} ${tail} ${chosen.chunks !== undefined}`);
    });
    return met.kinds;
  },
};
