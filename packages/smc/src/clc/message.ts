import { viewOf } from '@anole/bytes';
import { parsing, SmcError } from '../errors.ts';
import {
  CLC_TRAILER_BYTES,
  ClcDecline as ClcDeclineStruct,
  ClcDeclineV2,
  ClcHeader,
  EYECATCHER_D,
  EYECATCHER_R,
} from '../layout/clc.ts';
import { parseAccept, writeAccept } from './accept.ts';
import { parseProposal, writeProposal } from './proposal.ts';
import type { ClcDecline, ClcMessage, Path } from './types.ts';

/** Longest message that is taken. A proposal with all it may have is below 700 bytes. */
export const CLC_MAX_BYTES = 4096;

const types = { proposal: 1, accept: 2, confirm: 3, decline: 4 } as const;

/** The parts of a header, and the bytes between it and the trailer. */
export interface ClcFrame {
  readonly eyecatcher: Path;
  readonly version: number;
  /** typev2 and typev1. */
  readonly typeV2: number;
  readonly typeV1: number;
  readonly body: DataView;
}

/**
 * Length of the message whose first 8 bytes are given.
 *
 * @returns undefined where no CLC message begins so
 */
export function clcLength(header: Uint8Array): number | undefined {
  if (header.length < ClcHeader.size) return undefined;
  const { eyecatcher, type, length } = ClcHeader.decode(header);
  const isClc = eyecatcher === EYECATCHER_R || eyecatcher === EYECATCHER_D;
  const isLong = length >= ClcHeader.size + CLC_TRAILER_BYTES && length <= CLC_MAX_BYTES;
  return isClc && isLong && type >= types.proposal && type <= types.decline ? length : undefined;
}

/**
 * One message, trailer included. Byte fields are copies.
 *
 * @throws SmcError `SMC_BAD_CLC`
 */
export function parseClc(bytes: Uint8Array): ClcMessage {
  return parsing('SMC_BAD_CLC', 'a CLC message', () => {
    const { eyecatcher, type, length, version } = ClcHeader.decode(bytes);
    if (clcLength(bytes) !== bytes.length) {
      throw badClc(`type ${type} with a length of ${length} in ${bytes.length} bytes`);
    }
    const view = viewOf(bytes);
    const end = bytes.length - CLC_TRAILER_BYTES;
    if (view.getUint32(end) !== eyecatcher) throw badClc('a trailer that is not the eyecatcher');
    const frame: ClcFrame = {
      eyecatcher: eyecatcher === EYECATCHER_R ? 'R' : 'D',
      version: version >>> 4,
      typeV2: (version >>> 2) & 3,
      typeV1: version & 3,
      body: new DataView(bytes.buffer, bytes.byteOffset + ClcHeader.size, end - ClcHeader.size),
    };
    if (frame.version === 0) throw badClc('version 0');
    if (type === types.proposal) return parseProposal(frame);
    if (type === types.decline) return parseDecline(frame);
    return parseAccept(frame, type === types.accept ? 'accept' : 'confirm');
  });
}

/** The bytes that {@link parseClc} reads so; new memory. */
export function writeClc(message: ClcMessage): Uint8Array {
  switch (message.kind) {
    case 'proposal':
      return frameOf(message, writeProposal(message));
    case 'decline':
      return frameOf(message, writeDecline(message));
    default:
      return frameOf(message, writeAccept(message));
  }
}

function frameOf(message: ClcMessage, { version, body }: WrittenBody): Uint8Array {
  const eyecatcher = 'path' in message ? message.path : message.eyecatcher;
  const word = eyecatcher === 'R' ? EYECATCHER_R : EYECATCHER_D;
  const length = ClcHeader.size + body.length + CLC_TRAILER_BYTES;
  const bytes = new Uint8Array(length);
  const type = types[message.kind];
  ClcHeader.write(viewOf(bytes), 0, { eyecatcher: word, type, length, version });
  bytes.set(body, ClcHeader.size);
  viewOf(bytes).setUint32(length - CLC_TRAILER_BYTES, word);
  return bytes;
}

export interface WrittenBody {
  /** Last byte of the header. */
  readonly version: number;
  readonly body: Uint8Array;
}

/** Bit of typev2: the link group is new (Accept, Confirm) or out of step (Decline). */
export const FIRST_CONTACT = 2;

function parseDecline({ eyecatcher, version, typeV2, body }: ClcFrame): ClcDecline {
  const { os, ...fields } = ClcDeclineStruct.read(body);
  const hasMore = body.byteLength >= ClcDeclineStruct.size + ClcDeclineV2.size;
  return {
    kind: 'decline',
    eyecatcher,
    version,
    isOutOfSync: (typeV2 & FIRST_CONTACT) !== 0,
    ...fields,
    osType: os >>> 4,
    ...(version > 1 && hasMore && ClcDeclineV2.read(body, ClcDeclineStruct.size)),
  };
}

function writeDecline(message: ClcDecline): WrittenBody {
  const { version, isOutOfSync, osType, more } = message;
  const isV2 = version > 1;
  const body = new Uint8Array(ClcDeclineStruct.size + (isV2 ? ClcDeclineV2.size : 0));
  ClcDeclineStruct.write(viewOf(body), 0, { ...message, os: osType << 4 });
  if (more !== undefined) ClcDeclineV2.write(viewOf(body), ClcDeclineStruct.size, { more });
  return { version: (version << 4) | (isOutOfSync ? FIRST_CONTACT << 2 : 0), body };
}

function badClc(what: string): SmcError {
  return new SmcError('SMC_BAD_CLC', `Cannot read a CLC message: ${what}`);
}
