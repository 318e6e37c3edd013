import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync, zstdCompressSync } from 'node:zlib';
import { AnoleError } from '@anole/bytes';
import { hostDecoders } from './codecs.ts';

const text = Uint8Array.from({ length: 50_000 }, (_, at) => (at * at) >> 7);

for (const [name, decode, input] of [
  ['deflate', hostDecoders.deflate, deflateRawSync(text)],
  ['zstd', hostDecoders.zstd, zstdCompressSync(text)],
] as const) {
  test(`${name} data decode to exactly their length, or to a beginning of it`, () => {
    const whole = new Uint8Array(text.length);
    decode(input, whole, { partial: false });
    assert.deepEqual(whole, text);
    const part = new Uint8Array(1000);
    decode(input, part, { partial: true });
    assert.deepEqual(part, text.subarray(0, 1000));
    const refused = (length: number, bytes: Uint8Array, partial: boolean) =>
      assert.throws(
        () => decode(bytes, new Uint8Array(length), { partial }),
        (error) => AnoleError.is(error) && error.code === 'HOST_WRONG_CONTENT',
      );
    refused(1000, input, false);
    refused(text.length + 1, input, true);
    refused(text.length + 1, input, false);
    refused(text.length, input.subarray(3), false);
    refused(text.length, input.subarray(0, 100), false);
  });
}
