import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnoleError, decodeLz4, memorySource, type Source } from '@anole/bytes';
import { MemoryTree } from '@anole/vfs';
import { type Decoder, openErofs } from '../src/index.ts';
import { imageOf } from './judges.ts';

const text = Uint8Array.from({ length: 1_000_000 }, (_, at) =>
  at % 300 < 200 ? at % 9 : (at * at) >> 8,
);

async function compressedImage(): Promise<Uint8Array> {
  const tree = new MemoryTree();
  tree.putFile('file', text);
  return imageOf(tree, { compression: { compressor: 'lz4' } });
}

/** Counts the pclusters it decodes. */
function counting(decoder: Decoder): { readonly lz4: Decoder; readonly seen: () => number } {
  let count = 0;
  const lz4: Decoder = (input, output, options) => {
    count++;
    return decoder(input, output, options);
  };
  return { lz4, seen: () => count };
}

const later: Decoder = (input, output, options) => {
  const copy = input.slice();
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(decodeLz4(copy, output, options));
      } catch (error) {
        reject(error);
      }
    });
  });
};

/** A Source that answers later, and whose answers are gone when the next one is given. */
function forgetful(bytes: Uint8Array): Source {
  const inner = memorySource(bytes);
  let last = new Uint8Array(0);
  return {
    size: bytes.length,
    async read(offset, length) {
      await Promise.resolve();
      last.fill(0xee);
      last = (inner.read(offset, length) as Uint8Array).slice();
      return last;
    },
  };
}

test('a sequential read decodes each pcluster once, however small its steps are', async () => {
  const image = await compressedImage();
  const whole = counting(decodeLz4);
  const node = await (await openErofs(memorySource(image), { decoders: whole })).root.lookup(
    'file',
  );
  assert.deepEqual(await node!.read(0, text.length), text);
  assert.ok(whole.seen() > 5);
  for (const step of [1000, 4096, 70_001]) {
    const stepped = counting(decodeLz4);
    const tree = await openErofs(memorySource(image), { decoders: stepped, decodedCache: 0 });
    const file = (await tree.root.lookup('file'))!;
    for (let at = 0; at < text.length; at += step) {
      assert.deepEqual(await file.read(at, step), text.subarray(at, at + step));
    }
    assert.equal(stepped.seen(), whole.seen());
  }
});

test('reads at the same time share the work', async () => {
  const image = await compressedImage();
  const decoders = counting(later);
  const tree = await openErofs(forgetful(image), { decoders });
  const node = (await tree.root.lookup('file'))!;
  const reads = Array.from({ length: 8 }, () => node.read(100, 50));
  for (const bytes of await Promise.all(reads)) assert.deepEqual(bytes, text.subarray(100, 150));
  assert.equal(decoders.seen(), 1);
});

test('Sources and decoders that answer later give the same bytes', async () => {
  const tree = await openErofs(forgetful(await compressedImage()), { decoders: { lz4: later } });
  const node = (await tree.root.lookup('file'))!;
  assert.deepEqual(await node.read(0, text.length), text);
  assert.deepEqual(await node.read(123_456, 300_000), text.subarray(123_456, 423_456));
});

test('what a decoder throws is damage that names the byte of the image', async () => {
  const image = await compressedImage();
  const wrong: Decoder = () => {
    throw new TypeError('unforeseen');
  };
  for (const decoder of [wrong, async () => wrong(image, image, { partial: false })]) {
    const tree = await openErofs(memorySource(image), { decoders: { lz4: decoder } });
    const node = (await tree.root.lookup('file'))!;
    await assert.rejects(
      async () => node.read(0, 10),
      (error) =>
        AnoleError.is(error) &&
        error.code === 'EROFS_BAD_DATA' &&
        Number(error.details['offset']) > 0,
    );
  }
});
