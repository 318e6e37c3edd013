import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flow, memorySource } from '@anole/bytes';
import { DeviceSlot } from '../layout/device.ts';
import { type ImageDevice, readDevices, resolve } from './devices.ts';
import { Metadata } from './metadata.ts';
import type { ImageInfo } from './superblock.ts';

const tag = new Uint8Array(64);
tag.set([0x61, 0x62]);
const slot = (unifiedBlock: number) =>
  DeviceSlot.encode({ tag, blocks: 10, unifiedBlock, blocksHigh: 0, unifiedBlockHigh: 0 });
const table = new Uint8Array(512);
table.set(slot(100), 128);
table.set(slot(110), 256);
const image = memorySource(table);
const info = { blockSize: 4096, extraDevices: 2, deviceTableOffset: 128 } as ImageInfo;

test('the device table gives tags, sizes and places', () => {
  const devices = flow(() => readDevices(new Metadata(image, 1), info)) as ImageDevice[];
  assert.deepEqual(devices, [
    { tag: Uint8Array.of(0x61, 0x62), blocks: 10, unifiedBlock: 100 },
    { tag: Uint8Array.of(0x61, 0x62), blocks: 10, unifiedBlock: 110 },
  ]);
  const at = (block: number) => resolve(block * 4096 + 7, info, devices, image);
  assert.deepEqual(at(100), { device: 1, offset: 7 });
  assert.deepEqual(at(119), { device: 2, offset: 9 * 4096 + 7 });
  assert.deepEqual(at(120), { device: 0, offset: 120 * 4096 + 7 });
  assert.deepEqual(resolve(10, info, devices, image), { device: 0, offset: 10 });
});

test('a device table outside the image is refused', () => {
  const far = { ...info, extraDevices: 65_535 };
  assert.throws(() => flow(() => readDevices(new Metadata(image, 1), far)), /device 4/);
});
