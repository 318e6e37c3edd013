import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flow, memorySource, type Source } from '@anole/bytes';
import { Metadata } from './metadata.ts';

const SIZE = 64 * 4096;
const image = Uint8Array.from({ length: SIZE }, (_, at) => (at * 7 + (at >> 12)) & 0xff);

function read(metadata: Metadata, offset: number, length: number): Uint8Array {
  return flow(() => metadata.read(offset, length, 'bytes')) as Uint8Array;
}

test('nothing can be read at the end of an image', () => {
  const metadata = new Metadata(memorySource(image), SIZE);
  assert.equal(read(metadata, SIZE, 0).length, 0);
});

/** Read in groups, as files are. */
const whole: Source = {
  ...memorySource(image),
  readInto: (offset, target) => target.set(image.subarray(offset, offset + target.length)),
};

test('windows that overlap dropped ones are read all the same', () => {
  // Room for fewer windows than are read at once, and for one group of them.
  for (const [windows, reuses] of [1, 8, 17].flatMap(
    (count) =>
      [
        [count, false],
        [count, true],
      ] as const,
  )) {
    const metadata = new Metadata(whole, windows * 4096, '', reuses);
    let state = 1;
    for (let turn = 0; turn < 2000; turn++) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      const first = (state >>> 8) % 60;
      for (let window = first; window < first + 3; window++) {
        const offset = window * 4096 + 5;
        assert.deepEqual(read(metadata, offset, 9), image.subarray(offset, offset + 9));
      }
    }
  }
});
