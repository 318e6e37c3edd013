import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VolumeSource } from './messages.ts';
import { volumeSlots } from './shape.ts';

const directory = (path: string): VolumeSource => ({ path, directory: '/', readOnly: false });
const image = (path: string): VolumeSource => ({
  path,
  name: 'data',
  image: { kind: 'erofs', path: '/data' },
});

test('volumes have devices in few numbers, and those of images have windows', () => {
  const volumes = ['a', 'b', 'c'].flatMap((name) => [image(`/i${name}`), directory(`/d${name}`)]);
  const slots = volumeSlots(volumes);
  assert.deepEqual(
    slots.map(({ tag, hasWindow, volume }) => [tag, hasWindow, volume?.path]),
    [
      ['volume0', false, '/da'],
      ['volume1', false, '/db'],
      ['volume2', false, '/dc'],
      ['volume3', false, undefined],
      ['image0', true, '/ia'],
      ['image1', true, '/ib'],
      ['image2', true, '/ic'],
      ['image3', true, undefined],
    ],
  );
  assert.deepEqual(volumeSlots([]), []);
  assert.equal(volumeSlots([image('/a')]).length, 1);
});
