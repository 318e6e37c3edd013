import { bytes, pad, struct, u16, u32 } from '@anole/bytes';

export const DEVICE_SLOT_SIZE = 128;

/** Source: erofs-utils include/erofs_fs.h, struct erofs_deviceslot. */
export const DeviceSlot = struct('erofs_deviceslot', DEVICE_SLOT_SIZE, {
  /** A digest or a name. */
  tag: bytes(64),
  blocks: u32,
  /** Block of the whole at which the device begins where devices share one address space. */
  unifiedBlock: u32,
  blocksHigh: u16,
  unifiedBlockHigh: u16,
  reserved: pad(52),
});
