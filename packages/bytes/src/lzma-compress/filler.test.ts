import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeMicroLzma } from '../index.ts';
import {
  LZMA_EXTREME,
  LZMA_LEVEL_MAX,
  LZMA_SLACK,
  type LzmaBits,
  lzmaScratchSize,
  microLzmaFiller,
} from './filler.ts';

const noPython =
  spawnSync('python3', ['-c', 'import lzma']).status === 0 ? false : 'python3 is not installed';
const ROOM_MAX = 65_536;
const PAGE = 65_536;

/** A filler with room for a source of so many bytes. */
function fillerFor(length: number, level: number, windowSize: number, bits?: LzmaBits) {
  const settings = { level, windowSize, ...(bits && { bits }) };
  const start = lzmaScratchSize(settings);
  const target = start + length + LZMA_SLACK;
  const pages = Math.ceil((target + ROOM_MAX + LZMA_SLACK) / PAGE);
  const memory = new WebAssembly.Memory({ initial: pages });
  const filler = microLzmaFiller(settings, memory);
  filler.begin();
  const bytes = new Uint8Array(memory.buffer);
  /** Streams of the text, one after another, and how much of it each holds. */
  function* streams(text: Uint8Array, room: number) {
    bytes.set(text, start);
    for (let at = 0; at < text.length; ) {
      const { consumed, produced } = filler.fill(start + at, start + text.length, target, room);
      assert.ok(produced <= room && consumed > 0, `${produced} bytes for a room of ${room}`);
      yield { at, consumed, stream: bytes.slice(target, target + produced) };
      at += consumed;
    }
  }
  return streams;
}

function assertDecodes(
  text: Uint8Array,
  room: number,
  streams: ReturnType<typeof fillerFor>,
): number {
  let size = 0;
  for (const { at, consumed, stream } of streams(text, room)) {
    const out = new Uint8Array(consumed);
    decodeMicroLzma(stream, out);
    assert.ok(Buffer.from(out).equals(text.subarray(at, at + consumed)));
    size += stream.length;
  }
  return size;
}

const program = readFileSync(process.execPath).subarray(1_000_000, 1_200_000);
const mixed = Buffer.concat([
  new Uint8Array(3000),
  Buffer.from('abcabcabd'.repeat(900)),
  program.subarray(0, 60_000),
  Uint8Array.from({ length: 20_000 }, (_, at) => Math.imul(at, at ^ 0x9e3779b1) >> 13),
]);

for (const level of [...Array(LZMA_LEVEL_MAX + 1).keys(), LZMA_EXTREME, LZMA_EXTREME + 9]) {
  test(`what is compressed at level ${level} decodes, whatever the room and window`, () => {
    for (const windowSize of [4096, 65_536]) {
      const streams = fillerFor(mixed.length, level, windowSize);
      for (const room of [64, 1000, 4096, ROOM_MAX]) assertDecodes(mixed, room, streams);
    }
  });
}

/** Numbers of four bytes that grow slowly. */
const table = Uint8Array.from({ length: 60_000 }, (_, at) => (at * 3) >> (8 * (at & 3)));

test('literals are foreseen by other bits, too', () => {
  const sizes: number[] = [];
  for (const [literalContext, literalPosition, position] of [
    [3, 0, 2],
    [0, 2, 2],
    [0, 0, 0],
    [4, 0, 4],
    [2, 2, 1],
    [0, 4, 3],
  ] as const) {
    const bits = { literalContext, literalPosition, position };
    const streams = fillerFor(mixed.length, 6, 32_768, bits);
    for (const room of [64, 4096, ROOM_MAX]) assertDecodes(mixed, room, streams);
    sizes.push(assertDecodes(table, ROOM_MAX, streams));
  }
  assert.ok(sizes.at(-1)! < sizes[0]! * 0.6, `${sizes}`);
});

test('any bytes decode to what they were', () => {
  const streams = fillerFor(10_000, 6, 32_768);
  const run = fc
    .tuple(fc.uint8Array({ minLength: 1, maxLength: 12 }), fc.integer({ min: 1, max: 200 }))
    .map(([bytes, times]) => Buffer.concat(Array.from({ length: times }, () => bytes)));
  const text = fc
    .array(run, { minLength: 1, maxLength: 20 })
    .map((runs) => Buffer.concat(runs).subarray(0, 10_000));
  fc.assert(
    fc.property(text, fc.integer({ min: 64, max: 5000 }), (bytes, room) => {
      assertDecodes(bytes, room, streams);
    }),
    { seed: 5, numRuns: 300 },
  );
});

test('a room is filled but for the bytes of a symbol', () => {
  for (const { at, consumed, stream } of fillerFor(program.length, 6, 32_768)(program, 4096)) {
    if (at + consumed < program.length) assert.ok(stream.length > 4096 - 12);
  }
});

test('streams are hardly larger than those of liblzma', { skip: noPython }, () => {
  const code = `import lzma,sys
lc,lp,pb=map(int,sys.argv[2:])
level=int(sys.argv[1])
preset=level-100|lzma.PRESET_EXTREME if level>=100 else level
f=[{"id":lzma.FILTER_LZMA1,"preset":preset,"dict_size":1<<19,"lc":lc,"lp":lp,"pb":pb}]
sys.stdout.buffer.write(lzma.compress(sys.stdin.buffer.read(),lzma.FORMAT_RAW,filters=f))`;
  for (const [level, literalContext, literalPosition, position] of [
    [0, 3, 0, 2],
    [3, 3, 0, 2],
    [6, 3, 0, 2],
    [9, 3, 0, 2],
    [LZMA_EXTREME + 9, 3, 0, 2],
    [6, 0, 2, 2],
    [6, 4, 0, 0],
    [6, 1, 3, 4],
  ] as const) {
    const text = program.subarray(0, 100_000);
    const args = ['-c', code, ...[level, literalContext, literalPosition, position].map(String)];
    const { stdout } = spawnSync('python3', args, { input: text });
    const bits = { literalContext, literalPosition, position };
    const streams = fillerFor(text.length, level, 2 ** 19, bits);
    const size = assertDecodes(text, ROOM_MAX, streams);
    assert.ok(size <= stdout.length * 1.005, `${size}, liblzma ${stdout.length}, level ${level}`);
  }
});
