import type { Bus } from './hart.ts';

/** What the interpreter imports where nothing is compiled. */
export const withoutCode = {
  hot: () => 1,
  warm: () => {},
  decode: () => {},
  codeWritten: () => {},
};

/** Accesses to what is not RAM: -1, and 0, where nothing answers. */
export const busImports = (bus: Bus): Record<'busRead' | 'busWrite', WebAssembly.ImportValue> => ({
  busRead: (address: number, size: number): number =>
    bus.contains(address) ? bus.read(address, size as 1 | 2 | 4) >>> 0 : -1,
  busWrite: (address: number, size: number, value: number): number => {
    if (!bus.contains(address)) return 0;
    const unsigned = size === 4 ? value >>> 0 : value & (size === 1 ? 0xff : 0xffff);
    bus.write(address, size as 1 | 2 | 4, unsigned);
    return 1;
  },
});
