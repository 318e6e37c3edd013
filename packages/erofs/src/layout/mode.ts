import type { DeviceNumber, FileType } from '@anole/vfs';

/** Type bits of `mode`. Source: Linux include/uapi/linux/stat.h. */
export const modeOfType: Readonly<Record<FileType, number>> = {
  fifo: 0o010000,
  character: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
};

const typesByMode = new Map(
  Object.entries(modeOfType).map(([type, bits]) => [bits, type as FileType]),
);

export function typeOfMode(mode: number): FileType | undefined {
  return typesByMode.get(mode & 0o170000);
}

/** Source: Linux include/linux/kdev_t.h, new_encode_dev: 12 bits of major, 20 of minor. */
export function encodeDevice({ major, minor }: DeviceNumber): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

export function decodeDevice(encoded: number): DeviceNumber {
  return {
    major: (encoded >>> 8) & 0xfff,
    minor: (encoded & 0xff) | ((encoded >>> 12) & 0xfff00),
  };
}
