import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeMicroLzma } from '../index.ts';
import { LZMA_LEVEL_MAX, LZMA_SLACK, lzmaScratchSize, microLzmaFiller } from './filler.ts';

const noPython =
  spawnSync('python3', ['-c', 'import lzma']).status === 0 ? false : 'python3 is not installed';
const ROOM_MAX = 65_536;
const PAGE = 65_536;

/** A filler with room for a source of so many bytes. */
function fillerFor(length: number, level: number, windowSize: number) {
  const settings = { level, windowSize };
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

for (let level = 0; level <= LZMA_LEVEL_MAX; level++) {
  test(`what is compressed at level ${level} decodes, whatever the room and window`, () => {
    for (const windowSize of [4096, 65_536]) {
      const streams = fillerFor(mixed.length, level, windowSize);
      for (const room of [64, 1000, 4096, ROOM_MAX]) assertDecodes(mixed, room, streams);
    }
  });
}

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
f=[{"id":lzma.FILTER_LZMA1,"preset":int(sys.argv[1]),"dict_size":1<<19}]
sys.stdout.buffer.write(lzma.compress(sys.stdin.buffer.read(),lzma.FORMAT_RAW,filters=f))`;
  for (const level of [0, 3, 6, 9]) {
    const text = program.subarray(0, 100_000);
    const args = ['-c', code, String(level)];
    const { stdout } = spawnSync('python3', args, { input: text });
    const streams = fillerFor(text.length, level, 2 ** 19);
    const size = assertDecodes(text, ROOM_MAX, streams);
    assert.ok(size <= stdout.length * 1.005, `${size}, liblzma ${stdout.length}, level ${level}`);
  }
});
