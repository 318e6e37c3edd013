import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { AnoleError } from '@anole/bytes';
import fc from 'fast-check';
import { unxz } from './unxz.ts';

const skip = spawnSync('xz', ['--version']).error ? 'xz is not installed' : false;

const text = Buffer.from(
  Array.from({ length: 20_000 }, (_, line) => `line ${line} of ${line % 7} kinds\n`).join(''),
);

function xz(...args: string[]): Buffer {
  const { stdout, status } = spawnSync('xz', [...args, '-c'], { input: text });
  assert.equal(status, 0);
  return stdout;
}

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function decoded(bytes: Uint8Array, size = 1000): Promise<Buffer> {
  const out: Uint8Array[] = [];
  for await (const piece of unxz(inPieces(bytes, size))) out.push(piece.slice());
  return Buffer.concat(out);
}

const ways: readonly (readonly string[])[] = [
  [],
  ['-0'],
  ['-9e'],
  ['--check=crc32'],
  ['--check=none'],
  ['--block-size=50000', '-T2'],
  ['--lzma2=preset=6,lc=1,lp=2,pb=0'],
];

for (const way of ways) {
  test(`what xz ${way.join(' ')} compressed is the same again`, { skip }, async () => {
    const bytes = xz(...way);
    for (const size of [7, 65_536]) assert.ok((await decoded(bytes, size)).equals(text));
  });
}

test('streams behind another, and the padding between them, are read', { skip }, async () => {
  const all = Buffer.concat([xz(), Buffer.alloc(8), xz('-0')]);
  assert.ok((await decoded(all)).equals(Buffer.concat([text, text])));
});

const unknown: readonly (readonly string[])[] = [
  ['--check=sha256'],
  ['--x86', '--lzma2'],
  ['--lzma2=dict=128MiB'],
];

for (const way of unknown) {
  test(`what xz ${way.join(' ')} made is refused`, { skip }, async () => {
    await assert.rejects(decoded(xz(...way)), { code: 'XZ_UNSUPPORTED' });
  });
}

test('what is cut short or followed by something else is damaged', { skip }, async () => {
  const bytes = xz();
  const odd = [bytes.subarray(0, -1), bytes.subarray(0, 100), Buffer.concat([bytes, text])];
  for (const one of odd) await assert.rejects(decoded(one), { code: 'XZ_DAMAGED' });
});

test('damaged data raise a coded error, or decode to what they were made of', {
  skip,
}, async () => {
  const bytes = xz('--block-size=100000');
  const change = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }));
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
      const odd = Buffer.from(bytes);
      for (const [at, bits] of changes) odd[at]! ^= bits;
      try {
        assert.ok((await decoded(odd)).equals(text));
      } catch (error) {
        if (!AnoleError.is(error)) throw error;
        assert.match(error.code, /^XZ_/);
        refused++;
      }
    }),
    { seed: 1, numRuns: 300 },
  );
  assert.ok(refused > 250, `${refused}`);
});

test('what the input raises comes through, and the next stream is decoded', { skip }, async () => {
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield xz().subarray(0, 500);
    throw new RangeError('gone');
  }
  await assert.rejects(async () => {
    for await (const _ of unxz(failing()));
  }, new RangeError('gone'));
  assert.ok((await decoded(xz())).equals(text));
});
