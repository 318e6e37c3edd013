import type { ImmediateKind } from './instruction.ts';

/** Puts an immediate's bits where its kind has them. The value is assumed to fit. */
export function encodeImmediate(kind: ImmediateKind, value: number): number {
  const bits = (high: number, low: number): number =>
    (value >> low) & ((1 << (high - low + 1)) - 1);
  switch (kind) {
    case 'I':
      return (bits(11, 0) << 20) >>> 0;
    case 'S':
      return ((bits(11, 5) << 25) | (bits(4, 0) << 7)) >>> 0;
    case 'B':
      return (
        ((bits(12, 12) << 31) | (bits(10, 5) << 25) | (bits(4, 1) << 8) | (bits(11, 11) << 7)) >>> 0
      );
    case 'U':
      return (value & 0xfffff000) >>> 0;
    case 'J':
      return (
        ((bits(20, 20) << 31) |
          (bits(10, 1) << 21) |
          (bits(11, 11) << 20) |
          (bits(19, 12) << 12)) >>>
        0
      );
    case 'shamt5':
      return bits(4, 0) << 20;
    case 'shamt6':
      return bits(5, 0) << 20;
    case 'zimm':
      return bits(4, 0) << 15;
  }
}

/** The immediate of a word, sign-extended where its kind is signed. Inverse of the above. */
export function decodeImmediate(kind: ImmediateKind, word: number): number {
  const bits = (high: number, low: number): number =>
    (word >>> low) & ((1 << (high - low + 1)) - 1);
  const sign = word >> 31;
  switch (kind) {
    case 'I':
      return word >> 20;
    case 'S':
      return ((word >> 25) << 5) | bits(11, 7);
    case 'B':
      return (sign << 12) | (bits(7, 7) << 11) | (bits(30, 25) << 5) | (bits(11, 8) << 1);
    case 'U':
      return word & 0xfffff000;
    case 'J':
      return (sign << 20) | (bits(19, 12) << 12) | (bits(20, 20) << 11) | (bits(30, 21) << 1);
    case 'shamt5':
      return bits(24, 20);
    case 'shamt6':
      return bits(25, 20);
    case 'zimm':
      return bits(19, 15);
  }
}
