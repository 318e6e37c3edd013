/** Source: RFC 1951, 3.2.5: bases and extra bits of the symbols of lengths (257 up) and distances. */
export const lengthBases: Uint16Array = Uint16Array.of(
  ...[
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
  ],
  ...[163, 195, 227, 258],
);
export const lengthExtra: Uint8Array = Uint8Array.of(
  ...[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0],
);
export const distanceBases: Uint16Array = Uint16Array.from({ length: 30 }, (_, symbol) =>
  symbol < 4 ? symbol + 1 : ((2 + (symbol & 1)) << ((symbol >> 1) - 1)) + 1,
);
export const distanceExtra: Uint8Array = Uint8Array.from({ length: 30 }, (_, symbol) =>
  symbol < 4 ? 0 : (symbol >> 1) - 1,
);
