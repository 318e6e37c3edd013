import type { BlockOptions } from '../lz4.ts';
import { Input, MARGIN } from './bits.ts';
import type { HuffmanTable } from './huffman.ts';
import { readLiterals } from './literals.ts';
import { runSequences, type SequenceState, type Target } from './sequences.ts';

const MAGIC = 0xfd2fb528;
const BLOCK_MAX = 128 * 1024;
const RAW = 0;
const REPEATED = 1;
const COMPRESSED = 2;

/**
 * Decodes one ZSTD frame into `output`, which must become exactly full, unless the frame is
 * `partial`: then what follows is not looked at. The frame's checksum is not verified, bytes after it
 * are ignored, dictionaries are not known. Source: RFC 8878.
 *
 * @throws AnoleError `ZSTD_DAMAGED`; `details.offset` is the byte of the input met
 */
export function decodeZstd(
  frame: Uint8Array,
  output: Uint8Array,
  { partial = false }: BlockOptions = {},
): void {
  const input = new Input(frame);
  const target: Target = { output, at: 0, partial };
  const state: SequenceState = { tables: [undefined, undefined, undefined], repeats: [1, 4, 8] };
  let huffman: HuffmanTable | undefined;
  let at = headerEnd(input);
  for (;;) {
    if (partial && target.at === output.length) return;
    if (at + 3 > input.end) input.fail('it ends too early', at);
    const header = input.view.getUint32(at, true);
    const kind = (header >> 1) & 3;
    const size = (header >>> 3) & 0x1fffff;
    const start = at + 3;
    const stored = kind === REPEATED ? 1 : size;
    at = start + stored;
    if (at > input.end) input.fail('a block is cut off', start);
    if (kind === RAW || kind === REPEATED) fill(input, start, kind, size, target);
    else if (kind === COMPRESSED && size >= 2 && size <= BLOCK_MAX) {
      const literals = readLiterals(input, start, at, BLOCK_MAX, huffman);
      huffman = literals.table;
      runSequences(input, literals.end, at, literals.bytes, state, target);
    } else input.fail(`a block of type ${kind} has ${size} bytes`, start);
    if ((header & 1) === 1) break;
  }
  if (target.at < output.length) input.fail('it ends before the output is full', at);
}

/** Source: RFC 8878, 3.1.1.1. */
function headerEnd(input: Input): number {
  if (input.end < MARGIN + 5 || input.view.getUint32(MARGIN, true) !== MAGIC) {
    input.fail('it does not begin as one', MARGIN);
  }
  const descriptor = input.bytes[MARGIN + 4]!;
  const isSingle = (descriptor & 0x20) !== 0;
  const sizeCode = descriptor >> 6;
  const sizeBytes = sizeCode === 0 ? (isSingle ? 1 : 0) : 1 << sizeCode;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  if ((descriptor & 8) !== 0) input.fail('its header is of a newer version', MARGIN + 4);
  const dictionary = MARGIN + 5 + (isSingle ? 0 : 1);
  for (let index = 0; index < dictionaryBytes; index++) {
    if (input.bytes[dictionary + index] !== 0) input.fail('it needs a dictionary', dictionary);
  }
  return dictionary + dictionaryBytes + sizeBytes;
}

function fill(input: Input, start: number, kind: number, size: number, target: Target): void {
  const room = target.output.length - target.at;
  if (size > room && !target.partial) input.fail('it is longer than the output', start);
  const count = Math.min(size, room);
  if (kind === RAW) target.output.set(input.bytes.subarray(start, start + count), target.at);
  else target.output.fill(input.bytes[start]!, target.at, target.at + count);
  target.at += count;
}
