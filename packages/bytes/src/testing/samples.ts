/** Data that compresses a little, for tests of codecs. */
export const sampleText: Uint8Array = Uint8Array.from({ length: 200_000 }, (_, at) =>
  at % 1000 < 400 ? at % 11 : (at * at) >> 8,
);

/** Values of quickly falling frequency: some codes become longer than one look finds. */
export const skewedBytes: Uint8Array = Uint8Array.from(
  { length: 100_000 },
  (_, at) => Math.clz32(Math.imul(at + 1, 0x9e3779b1) >>> 0) * 8 + ((at >> 12) & 7),
);
