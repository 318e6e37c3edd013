import { type Flow, type Source, viewOf } from '@anole/bytes';
import { DEVICE_SLOT_SIZE, DeviceSlot } from '../layout/device.ts';
import { INCOMPAT_48BIT } from '../layout/superblock.ts';
import type { Metadata } from './metadata.ts';
import type { ImageInfo } from './superblock.ts';

/** A device beside the image, as its table has it. */
export interface ImageDevice {
  /** What its maker put in: a digest or a name, without the zeros after it. */
  readonly tag: Uint8Array;
  readonly blocks: number;
  /** First block where devices share one address space with the image; 0 where they do not. */
  readonly unifiedBlock: number;
}

/** @throws ErofsError `EROFS_OUT_OF_RANGE` */
export function* readDevices(metadata: Metadata, info: ImageInfo): Flow<ImageDevice[]> {
  const devices: ImageDevice[] = [];
  for (let index = 0; index < info.extraDevices; index++) {
    const offset = info.deviceTableOffset + index * DEVICE_SLOT_SIZE;
    const bytes = yield* metadata.read(offset, DEVICE_SLOT_SIZE, `device ${index + 1}`);
    const slot = DeviceSlot.read(viewOf(bytes));
    const { tag } = slot;
    const high = (info.featureIncompat & INCOMPAT_48BIT) !== 0 ? 2 ** 32 : 0;
    const blocks = slot.blocks + slot.blocksHigh * high;
    const unifiedBlock = slot.unifiedBlock + slot.unifiedBlockHigh * high;
    const end = tag.indexOf(0);
    devices.push({ tag: end < 0 ? tag : tag.subarray(0, end), blocks, unifiedBlock });
  }
  return devices;
}

/** Where bytes lie: 0 is the image itself, 1 its first device. */
export interface Place {
  readonly device: number;
  readonly offset: number;
}

/** Resolves an address beyond the image to the device that has it. Source: Linux fs/erofs/data.c. */
export function resolve(
  offset: number,
  info: ImageInfo,
  devices: readonly ImageDevice[],
  primary: Source,
): Place {
  if (devices.length === 0 || offset < primary.size) return { device: 0, offset };
  const index = devices.findIndex(({ unifiedBlock, blocks }) => {
    const start = unifiedBlock * info.blockSize;
    return unifiedBlock > 0 && offset >= start && offset < start + blocks * info.blockSize;
  });
  if (index < 0) return { device: 0, offset };
  return { device: index + 1, offset: offset - devices[index]!.unifiedBlock * info.blockSize };
}
