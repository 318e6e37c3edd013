import { encodeName } from '@anole/bytes';
import { DEVICE_SLOT_SIZE, DeviceSlot } from '../../layout/device.ts';
import { badOption } from '../bad-option.ts';

/** A device beside an image, as its table is to have it. */
export interface PlannedDevice {
  readonly blocks: number;
  readonly tag: string;
}

const TAG_SIZE = 64;

/**
 * The device table. Devices follow on the image's blocks, one after another, in the address space that
 * they share with it.
 *
 * @throws ErofsError `EROFS_BAD_OPTION` for a tag that is too long
 */
export function encodeDevices(devices: readonly PlannedDevice[], imageBlocks: number): Uint8Array {
  const out = new Uint8Array(devices.length * DEVICE_SLOT_SIZE);
  let unifiedBlock = imageBlocks;
  for (const [index, { blocks, tag }] of devices.entries()) {
    const bytes = new Uint8Array(TAG_SIZE);
    const name = encodeName(tag);
    if (name.length > TAG_SIZE) throw badOption('the device tag', tag, 'give at most 64 bytes');
    bytes.set(name);
    const high = { blocksHigh: 0, unifiedBlockHigh: 0 };
    out.set(
      DeviceSlot.encode({ tag: bytes, blocks, unifiedBlock, ...high }),
      index * DEVICE_SLOT_SIZE,
    );
    unifiedBlock += blocks;
  }
  return out;
}
