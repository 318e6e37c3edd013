import { viewOf } from '@anole/bytes';
import { parsing, SmcError } from '../errors.ts';
import { LLC_BYTES, LLC_MAX_BYTES, LlcFlag, LlcHeader } from '../layout/llc.ts';
import { type LlcBody, llcKinds } from './kinds.ts';

/** What is the same in all messages. */
interface LlcCommon {
  /** 1 or 2. */
  readonly version: number;
  readonly isResponse: boolean;
  /** Flags beside that of responses, see {@link LlcFlag}. */
  readonly flags: number;
  /** Why ADD LINK was rejected; version 1. 0 to 15. */
  readonly rejectReason?: number;
}

export type LlcMessage = LlcCommon & LlcBody;

/**
 * One message as it was sent: 44 bytes, or up to 8192 in version 2. Byte fields are copies.
 *
 * @throws SmcError `SMC_BAD_LLC`
 */
export function parseLlc(bytes: Uint8Array): LlcMessage {
  return parsing('SMC_BAD_LLC', 'an LLC message', () => {
    const { type, length, flags } = LlcHeader.decode(bytes);
    const version = type >>> 4 === 0 ? 1 : type >>> 4;
    const kind = llcKinds[type & 15];
    if (kind === undefined || version > 2) throw badLlc(`type 0x${type.toString(16)}`);
    const told = version === 1 ? [length & 0xff] : [length, swapped(length)];
    if (!told.includes(bytes.length) || bytes.length < LLC_BYTES || bytes.length > LLC_MAX_BYTES) {
      throw badLlc(`a length of ${told[0]} in ${bytes.length} bytes`);
    }
    const isResponse = (flags & LlcFlag.response) !== 0;
    const rejectReason = version === 1 ? (length >>> 8) & 15 : 0;
    const from = LlcHeader.size;
    const body = new DataView(bytes.buffer, bytes.byteOffset + from, bytes.length - from);
    return {
      version,
      isResponse,
      flags: flags & ~LlcFlag.response,
      ...(rejectReason > 0 && { rejectReason }),
      ...kind.parse(body, { version, isResponse }),
    };
  });
}

/** The bytes that {@link parseLlc} reads so; new memory. Version 2 in the order of x86. */
export function writeLlc(message: LlcMessage): Uint8Array {
  const { version, isResponse, flags, rejectReason = 0 } = message;
  const type = llcKinds.findIndex((kind) => kind?.kind === message.kind);
  const body = llcKinds[type]!.write(message, { version, isResponse });
  const length = Math.max(LLC_BYTES, LlcHeader.size + body.length);
  const bytes = new Uint8Array(length);
  LlcHeader.write(viewOf(bytes), 0, {
    type: version === 1 ? type : (version << 4) | type,
    length: version === 1 ? length | (rejectReason << 8) : length,
    flags: flags | (isResponse ? LlcFlag.response : 0),
  });
  bytes.set(body, LlcHeader.size);
  return bytes;
}

const swapped = (value: number): number => ((value & 0xff) << 8) | (value >>> 8);

function badLlc(what: string): SmcError {
  return new SmcError('SMC_BAD_LLC', `Cannot read an LLC message: ${what}`);
}
