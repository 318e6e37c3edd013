import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { AnoleError, decodeMicroLzma } from './index.ts';
import { LZMA_RESERVED, lzmaModule } from './lzma/module.ts';
import { decodeMicroLzmaPlainly } from './micro-lzma.ts';
import { WasmDecoder } from './wasm-decoder.ts';

const noPython =
  spawnSync('python3', ['-c', 'import lzma']).status === 0 ? false : 'python3 is not installed';

/** A raw LZMA1 stream of Python's, with the first byte that MicroLZMA gives it. */
function stream(text: Uint8Array, lc: number, lp: number, pb: number): Uint8Array {
  const code = `import lzma,sys
f=[{"id":lzma.FILTER_LZMA1,"dict_size":1<<20,"lc":${lc},"lp":${lp},"pb":${pb}}]
sys.stdout.buffer.write(lzma.compress(sys.stdin.buffer.read(),lzma.FORMAT_RAW,filters=f))`;
  const { stdout } = spawnSync('python3', ['-c', code], { input: text, maxBuffer: 1 << 24 });
  const bytes = Uint8Array.from(stdout);
  assert.equal(bytes[0], 0);
  bytes[0] = ~((pb * 5 + lp) * 9 + lc);
  return bytes;
}

function sample(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) =>
    at % 3000 < 1000 ? at % 13 : at % 3000 < 2000 ? (at * at) >> 9 : (at >> 4) & 0x5f,
  );
}

function refused(action: () => void): void {
  assert.throws(action, (error) => AnoleError.is(error) && error.code === 'LZMA_DAMAGED');
}

for (const [lc, lp, pb] of [
  [3, 0, 2],
  [0, 0, 0],
  [2, 2, 4],
  [4, 0, 1],
] as const) {
  test(`LZMA data with lc=${lc} lp=${lp} pb=${pb} decode`, { skip: noPython }, () => {
    for (const text of [sample(40_000), new Uint8Array(30_000), sample(1)]) {
      const input = stream(text, lc, lp, pb);
      const output = new Uint8Array(text.length);
      decodeMicroLzma(input, output);
      assert.deepEqual(output, text);
      const part = new Uint8Array(text.length >> 1);
      decodeMicroLzma(input, part, { partial: true });
      assert.deepEqual(part, text.subarray(0, part.length));
      refused(() => decodeMicroLzma(input.subarray(0, 5), new Uint8Array(90_000)));
    }
  });
}

test('properties that LZMA does not have are refused', () => {
  for (const properties of [225, 255, 44]) {
    refused(() => decodeMicroLzma(Uint8Array.of(~properties, 0, 0, 0, 0, 0), new Uint8Array(1)));
  }
  refused(() => decodeMicroLzma(new Uint8Array(0), new Uint8Array(1)));
});

test('whatever the input, decoding ends with an error of its own or a full output', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.nat(5000), (input, length) => {
      try {
        decodeMicroLzma(input, new Uint8Array(length));
      } catch (error) {
        assert.ok(AnoleError.is(error) && error.code === 'LZMA_DAMAGED', String(error));
      }
    }),
    { seed: 3, numRuns: 2000 },
  );
});

test('compiled or not, damaged streams decode to the same or not at all', {
  skip: noPython,
}, () => {
  const streams = [stream(sample(4000), 3, 0, 2), stream(sample(4000), 1, 2, 0)];
  const compiled = new WasmDecoder(lzmaModule, LZMA_RESERVED);
  let decoded = 0;
  fc.assert(
    fc.property(
      fc.nat(streams.length - 1),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
      fc.integer({ min: 0, max: 5000 }),
      (which, changes, length) => {
        const input = streams[which]!.slice();
        for (const [at, value] of changes) input[at % input.length] = value;
        const [one, other] = [new Uint8Array(length), new Uint8Array(length)];
        let plainly = true;
        try {
          decodeMicroLzmaPlainly(input, one);
        } catch {
          plainly = false;
        }
        assert.equal(compiled.decode(input, other, false), plainly);
        if (!plainly) return;
        decoded++;
        assert.deepEqual(other, one);
      },
    ),
    { seed: 4, numRuns: 1500 },
  );
  assert.ok(decoded > 100);
});
