import type { Input } from './bits.ts';
import { decodeStream, type HuffmanTable, readHuffman } from './huffman.ts';

const RAW = 0;
const REPEATED = 1;
const COMPRESSED = 2;

export interface Literals {
  readonly bytes: Uint8Array;
  /** The code that was used, for blocks that use it again. */
  readonly table: HuffmanTable | undefined;
  /** Byte of the input after the section. */
  readonly end: number;
}

/** The first section of a block. Source: RFC 8878, 3.1.1.3.1. */
export function readLiterals(
  input: Input,
  start: number,
  end: number,
  max: number,
  known: HuffmanTable | undefined,
): Literals {
  const head = input.bytes[start]!;
  const kind = head & 3;
  const format = (head >> 2) & 3;
  if (kind === RAW || kind === REPEATED) {
    const header = format === 1 ? 2 : format === 3 ? 3 : 1;
    const bits = (format & 1) === 0 ? 3 : 4;
    const word = input.view.getUint32(start, true) & (2 ** (8 * header) - 1);
    const size = word >>> bits;
    const at = start + header;
    const stored = kind === RAW ? size : 1;
    if (size > max || at + stored > end) input.fail('the literals do not fit', start);
    const bytes =
      kind === RAW
        ? input.bytes.subarray(at, at + size)
        : new Uint8Array(size).fill(input.bytes[at]!);
    return { bytes, table: known, end: at + stored };
  }
  const bits = format < 2 ? 10 : format === 2 ? 14 : 18;
  const header = format < 2 ? 3 : format + 2;
  const low = input.view.getUint32(start, true) + input.bytes[start + 4]! * 2 ** 32;
  const size = Math.floor(low / 16) % 2 ** bits;
  const stored = Math.floor(low / 2 ** (4 + bits)) % 2 ** bits;
  const at = start + header;
  const stop = at + stored;
  if (size > max || stop > end) input.fail('the literals do not fit', start);
  let table = known;
  let from = at;
  if (kind === COMPRESSED) ({ table, end: from } = readHuffman(input, at, stop));
  if (table === undefined) return input.fail('the literals have no code', start);
  const bytes = new Uint8Array(size);
  if (format === 0) decodeStream(input, from, stop, table, bytes);
  else decodeFour(input, from, stop, table, bytes);
  return { bytes, table, end: stop };
}

/** Four streams, the lengths of three of which stand before them. */
function decodeFour(
  input: Input,
  start: number,
  end: number,
  table: HuffmanTable,
  bytes: Uint8Array,
): void {
  if (start + 6 > end) input.fail('the literals are cut off', start);
  const share = (bytes.length + 3) >> 2;
  let at = start + 6;
  for (let index = 0; index < 4; index++) {
    const size = index < 3 ? input.view.getUint16(start + 2 * index, true) : end - at;
    if (size < 0 || at + size > end) input.fail('a stream of literals is cut off', at);
    const output = bytes.subarray(
      Math.min(bytes.length, index * share),
      index < 3 ? Math.min(bytes.length, (index + 1) * share) : bytes.length,
    );
    decodeStream(input, at, at + size, table, output);
    at += size;
  }
}
