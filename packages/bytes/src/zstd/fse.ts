import type { Input } from './bits.ts';

/** A decoding table of Finite State Entropy. Source: RFC 8878, 4.1. */
export interface FseTable {
  /** Bits of a state. */
  readonly log: number;
  /** By state: the symbol, the bits to read for the next state, and what to add to them. */
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
  readonly bases: Uint16Array;
}

/** @param counts by symbol, adding up to 2^log; -1 counts as 1 and is less than that */
export function fseTable(counts: ArrayLike<number>, log: number): FseTable {
  const size = 1 << log;
  const symbols = new Uint8Array(size);
  const next = new Uint16Array(counts.length);
  let high = size;
  for (let symbol = 0; symbol < counts.length; symbol++) {
    const count = counts[symbol]!;
    if (count < 0) symbols[--high] = symbol;
    next[symbol] = Math.abs(count);
  }
  const step = (size >> 1) + (size >> 3) + 3;
  let at = 0;
  for (let symbol = 0; symbol < counts.length; symbol++) {
    for (let left = counts[symbol]!; left > 0; left--) {
      symbols[at] = symbol;
      do at = (at + step) & (size - 1);
      while (at >= high);
    }
  }
  const bits = new Uint8Array(size);
  const bases = new Uint16Array(size);
  for (let state = 0; state < size; state++) {
    const value = next[symbols[state]!]!++;
    const count = log - (31 - Math.clz32(value));
    bits[state] = count;
    bases[state] = (value << count) - size;
  }
  return { log, symbols, bits, bases };
}

/** A table that knows one symbol, without any bits. */
export function onlySymbol(symbol: number): FseTable {
  return {
    log: 0,
    symbols: Uint8Array.of(symbol),
    bits: new Uint8Array(1),
    bases: new Uint16Array(1),
  };
}

/**
 * The description of a table, from its lowest bit on. Source: RFC 8878, 4.1.1.
 *
 * @returns the table and the byte after its description
 */
export function readFse(
  input: Input,
  start: number,
  end: number,
  { logMax, symbolMax }: { readonly logMax: number; readonly symbolMax: number },
): { table: FseTable; end: number } {
  let at = start * 8;
  const limit = end * 8;
  const peek = (count: number): number =>
    (input.view.getUint32(at >> 3, true) >>> (at & 7)) & ((1 << count) - 1);
  const log = peek(4) + 5;
  at += 4;
  if (log > logMax) input.fail(`a table of states has 2^${log} of them`, start);
  const counts: number[] = [];
  let left = 1 << log;
  while (left > 0) {
    if (counts.length > symbolMax || at >= limit) input.fail('a table of states is none', at >> 3);
    // Values are 0 to left + 1; the lower ones take a bit less.
    const bits = 32 - Math.clz32(left + 1);
    const value = peek(bits);
    const low = value & ((1 << (bits - 1)) - 1);
    const short = (1 << bits) - 2 - left;
    const isShort = low < short;
    at += isShort ? bits - 1 : bits;
    const count = (isShort ? low : value >= 1 << (bits - 1) ? value - short : value) - 1;
    counts.push(count);
    left -= Math.abs(count);
    if (count !== 0) continue;
    for (let more = 3; more === 3; ) {
      more = peek(2);
      at += 2;
      if (at > limit) input.fail('a table of states is cut off', at >> 3);
      for (let zeros = more; zeros > 0; zeros--) counts.push(0);
    }
  }
  if (left < 0 || at > limit || counts.length > symbolMax + 1) {
    input.fail('a table of states is none', start);
  }
  return { table: fseTable(counts, log), end: (at + 7) >> 3 };
}
