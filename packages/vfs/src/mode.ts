import type { DeviceNumber, FileType } from './tree.ts';

/** S_IF*, the type bits of a Linux mode; shifted right by 12, DT_* of dirent.h. Source: stat.h. */
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

/** The type that the bits of a mode name, or undefined where they name none. */
export function typeOfMode(mode: number): FileType | undefined {
  return typesByMode.get(mode & 0o170000);
}

/** A device number in 32 bits: 12 of major within 20 of minor. Source: kdev_t.h, new_encode_dev. */
export function encodeDevice({ major, minor }: DeviceNumber): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
}

export function decodeDevice(encoded: number): DeviceNumber {
  return {
    major: (encoded >>> 8) & 0xfff,
    minor: (encoded & 0xff) | ((encoded >>> 12) & 0xfff00),
  };
}
