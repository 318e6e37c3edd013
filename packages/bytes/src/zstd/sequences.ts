import { BackwardBits, type Input } from './bits.ts';
import { type FseTable, fseTable, onlySymbol, readFse } from './fse.ts';

/** One of the three kinds of codes of a sequence. */
interface Kind {
  readonly logMax: number;
  readonly symbolMax: number;
  readonly predefined: FseTable;
}

/** Values of a code: what it begins at, and how many bits are added. Source: RFC 8878, 3.1.1.3.2.1. */
interface Values {
  readonly bases: Uint32Array;
  readonly extra: Uint8Array;
}

/** @param extra bits of the codes from `plain` on; those before have none, and count up from `first` */
function valuesOf(plain: number, first: number, extra: readonly number[]): Values {
  const bits = [...new Array<number>(plain).fill(0), ...extra];
  const bases = new Uint32Array(bits.length);
  let base = first;
  bits.forEach((count, code) => {
    bases[code] = base;
    base += 2 ** count;
  });
  return { bases, extra: Uint8Array.from(bits) };
}

const literalLengths = valuesOf(16, 0, [
  ...[1, 1, 1, 1, 2, 2, 3, 3, 4],
  ...[6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
]);
const matchLengths = valuesOf(32, 3, [
  ...[1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5],
  ...[7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
]);

const ones = (count: number): number[] => new Array<number>(count).fill(1);
const rare = (count: number): number[] => new Array<number>(count).fill(-1);

/** Source: RFC 8878, 3.1.1.3.2.2, default distributions. */
const literalKind: Kind = {
  logMax: 9,
  symbolMax: 35,
  predefined: fseTable(
    [
      ...[4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2],
      ...[...ones(5), ...rare(4)],
    ],
    6,
  ),
};
const offsetKind: Kind = {
  logMax: 8,
  symbolMax: 31,
  predefined: fseTable([...ones(6), 2, 2, 2, ...ones(15), ...rare(5)], 5),
};
const matchKind: Kind = {
  logMax: 9,
  symbolMax: 52,
  predefined: fseTable([1, 4, 3, 2, 2, 2, 2, 2, 2, ...ones(37), ...rare(7)], 6),
};

/** What one block leaves to the next. */
export interface SequenceState {
  tables: [FseTable | undefined, FseTable | undefined, FseTable | undefined];
  /** The last three distances. */
  repeats: [number, number, number];
}

/** Where a block's data go. */
export interface Target {
  readonly output: Uint8Array;
  /** Bytes there are already. */
  at: number;
  readonly partial: boolean;
}

/** The second section of a block: carries out its sequences. Source: RFC 8878, 3.1.1.3.2. */
export function runSequences(
  input: Input,
  start: number,
  end: number,
  literals: Uint8Array,
  state: SequenceState,
  target: Target,
): void {
  if (start >= end) input.fail('a block is cut off', start);
  const head = input.bytes[start]!;
  let count = head;
  let at = start + 1;
  if (head === 255) {
    count = input.view.getUint16(at, true) + 0x7f00;
    at += 2;
  } else if (head >= 128) {
    count = ((head - 128) << 8) + input.bytes[at++]!;
  }
  if (count === 0) {
    copyLiterals(input, literals, 0, literals.length, target, start);
    return;
  }
  const modes = input.bytes[at++]!;
  if ((modes & 3) !== 0 || at > end) input.fail('the modes of its codes are unknown', at - 1);
  for (const [index, kind] of [literalKind, offsetKind, matchKind].entries()) {
    const mode = (modes >> (6 - 2 * index)) & 3;
    const read = tableOf(input, at, end, mode, kind, state.tables[index]);
    state.tables[index] = read.table;
    at = read.end;
  }
  run(input, new BackwardBits(input, at, end), count, literals, state, target);
}

function tableOf(
  input: Input,
  at: number,
  end: number,
  mode: number,
  kind: Kind,
  known: FseTable | undefined,
): { table: FseTable; end: number } {
  if (mode === 0) return { table: kind.predefined, end: at };
  if (mode === 2) return readFse(input, at, end, kind);
  if (mode === 3) {
    return known === undefined
      ? input.fail('a table is used again, but none is known', at)
      : { table: known, end: at };
  }
  const symbol = at < end ? input.bytes[at]! : 256;
  if (symbol > kind.symbolMax) input.fail(`a code is ${symbol}`, at);
  return { table: onlySymbol(symbol), end: at + 1 };
}

function run(
  input: Input,
  bits: BackwardBits,
  count: number,
  literals: Uint8Array,
  { tables, repeats }: SequenceState,
  target: Target,
): void {
  const [lengths, offsets, matches] = tables as [FseTable, FseTable, FseTable];
  const { output } = target;
  let lengthState = bits.read(lengths.log);
  let offsetState = bits.read(offsets.log);
  let matchState = bits.read(matches.log);
  let from = 0;
  for (let left = count; left > 0; left--) {
    const offsetCode = offsets.symbols[offsetState]!;
    const offset = 2 ** offsetCode + bits.read(offsetCode);
    const matchCode = matches.symbols[matchState]!;
    let match = matchLengths.bases[matchCode]! + bits.read(matchLengths.extra[matchCode]!);
    const lengthCode = lengths.symbols[lengthState]!;
    const length = literalLengths.bases[lengthCode]! + bits.read(literalLengths.extra[lengthCode]!);
    if (left > 1) {
      lengthState = lengths.bases[lengthState]! + bits.read(lengths.bits[lengthState]!);
      matchState = matches.bases[matchState]! + bits.read(matches.bits[matchState]!);
      offsetState = offsets.bases[offsetState]! + bits.read(offsets.bits[offsetState]!);
    }
    if (bits.left < 0) input.fail('its sequences are cut off', bits.offset);
    const distance = distanceOf(offset, length, repeats);
    if (from + length > literals.length) input.fail('it has too few literals', bits.offset);
    copyLiterals(input, literals, from, from + length, target, bits.offset);
    from += length;
    if (distance < 1 || distance > target.at) {
      if (target.partial && target.at === output.length) return;
      input.fail(`a match lies ${distance} bytes back`, bits.offset);
    }
    const room = output.length - target.at;
    if (match > room) {
      if (!target.partial) input.fail('it is longer than the output', bits.offset);
      match = room;
    }
    copyMatch(output, target.at, distance, match);
    target.at += match;
  }
  if (bits.left !== 0 && !isFull(target)) input.fail('its sequences are too long', bits.offset);
  copyLiterals(input, literals, from, literals.length, target, bits.offset);
}

function isFull({ partial, at, output }: Target): boolean {
  return partial && at === output.length;
}

/** Moves the distance that is used to the front. Source: RFC 8878, 3.1.1.5. */
function distanceOf(offset: number, length: number, repeats: [number, number, number]): number {
  const index = offset - (length === 0 ? 0 : 1);
  if (offset > 3 || index > 2) {
    const distance = offset > 3 ? offset - 3 : repeats[0] - 1;
    repeats[2] = repeats[1];
    repeats[1] = repeats[0];
    repeats[0] = distance;
    return distance;
  }
  const distance = repeats[index]!;
  if (index === 2) repeats[2] = repeats[1];
  if (index > 0) repeats[1] = repeats[0];
  repeats[0] = distance;
  return distance;
}

function copyLiterals(
  input: Input,
  literals: Uint8Array,
  from: number,
  end: number,
  target: Target,
  offset: number,
): void {
  const { output } = target;
  let last = end;
  if (end - from > output.length - target.at) {
    if (!target.partial) input.fail('it is longer than the output', offset);
    last = from + output.length - target.at;
  }
  let to = target.at;
  if (last - from > 32) {
    output.set(literals.subarray(from, last), to);
    to += last - from;
  } else {
    for (let at = from; at < last; ) output[to++] = literals[at++]!;
  }
  target.at = to;
}

function copyMatch(output: Uint8Array, start: number, distance: number, length: number): void {
  if (distance >= length && length > 32) {
    output.copyWithin(start, start - distance, start - distance + length);
    return;
  }
  let from = start - distance;
  for (let to = start; to < start + length; ) output[to++] = output[from++]!;
}
