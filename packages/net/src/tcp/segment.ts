import { viewOf } from '@anole/bytes';
import * as T from '../layout/tcp.ts';

/** A TCP segment from the guest. `data` aliases the frame. */
export interface Segment {
  readonly source: number;
  readonly destination: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  /** As it stands in the header: not scaled. */
  readonly window: number;
  /** Of a SYN: the options in it. */
  readonly options: SynOptions;
  readonly data: Uint8Array;
}

export interface SynOptions {
  readonly mss?: number;
  readonly windowScale?: number;
}

const noOptions: SynOptions = {};

/** Reads a segment; undefined for what is none. */
export function readSegment(packet: Uint8Array): Segment | undefined {
  if (packet.length < T.Tcp.size) return undefined;
  const header = T.Tcp.at(viewOf(packet));
  const dataAt = (header.dataOffset >> 4) * 4;
  if (dataAt < T.Tcp.size || dataAt > packet.length) return undefined;
  const { source, destination, sequence, acknowledgment, flags, window } = header;
  const isSyn = (flags & T.SYN) !== 0;
  return {
    source,
    destination,
    sequence,
    acknowledgment,
    flags,
    window,
    options: isSyn ? readOptions(packet.subarray(T.Tcp.size, dataAt)) : noOptions,
    data: packet.subarray(dataAt),
  };
}

function readOptions(bytes: Uint8Array): SynOptions {
  const options: { mss?: number; windowScale?: number } = {};
  for (let at = 0; at < bytes.length && bytes[at] !== T.OPTION_END; ) {
    if (bytes[at] === T.OPTION_NOP) {
      at++;
      continue;
    }
    const length = bytes[at + 1] ?? 0;
    if (length < 2 || at + length > bytes.length) break;
    if (bytes[at] === T.OPTION_MSS && length === 4) {
      options.mss = (bytes[at + 2]! << 8) | bytes[at + 3]!;
    } else if (bytes[at] === T.OPTION_WINDOW_SCALE && length === 3) {
      options.windowScale = Math.min(bytes[at + 2]!, T.MAX_WINDOW_SCALE);
    }
    at += length;
  }
  return options;
}

/** Options of our SYN, padded to words. */
export function writeOptions({ mss, windowScale }: SynOptions): Uint8Array {
  const bytes: number[] = [];
  if (mss !== undefined) bytes.push(T.OPTION_MSS, 4, mss >> 8, mss & 255);
  if (windowScale !== undefined) bytes.push(T.OPTION_NOP, T.OPTION_WINDOW_SCALE, 3, windowScale);
  return Uint8Array.from(bytes);
}

/** How far `to` lies behind `from`, both sequence numbers: negative where it lies before. */
export function distance(from: number, to: number): number {
  return (to - from) | 0;
}

export function advance(sequence: number, count: number): number {
  return (sequence + count) >>> 0;
}
