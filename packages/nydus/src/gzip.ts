import { inflate } from '@anole/bytes';
import { damaged } from './errors.ts';

/** Source: RFC 1952, 2.3.1. */
const HEADER_SIZE = 10;
const HAS_HEADER_CRC = 0x02;
const HAS_EXTRA = 0x04;
const HAS_NAME = 0x08;
const HAS_COMMENT = 0x10;

/**
 * Decodes the gzip member at the beginning of `input` into `output`, which must become exactly full.
 * What follows is ignored, the checksum too: chunks have digests. Source: RFC 1952.
 *
 * @throws RafsError `RAFS_WRONG_CONTENT`; AnoleError `DEFLATE_DAMAGED`
 */
export function decodeGzip(input: Uint8Array, output: Uint8Array): void {
  inflate(input.subarray(headerEnd(input)), output);
}

function headerEnd(input: Uint8Array): number {
  if (input.length < HEADER_SIZE || input[0] !== 0x1f || input[1] !== 0x8b || input[2] !== 8) {
    throw damaged('RAFS_WRONG_CONTENT', 'Cannot decode the chunk: it is no gzip member');
  }
  const flags = input[3]!;
  let at = HEADER_SIZE;
  if ((flags & HAS_EXTRA) !== 0) at += 2 + (input[at] ?? 0) + ((input[at + 1] ?? 0) << 8);
  for (const flag of [HAS_NAME, HAS_COMMENT]) {
    if ((flags & flag) === 0) continue;
    const end = input.indexOf(0, at);
    at = end < 0 ? input.length : end + 1;
  }
  return (flags & HAS_HEADER_CRC) === 0 ? at : at + 2;
}
