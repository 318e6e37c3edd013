import { viewOf } from '@anole/bytes';
import { checksum } from './checksum.ts';
import type { Offload } from './link.ts';

const MAGIC = 0xa1b23c4d; // times in nanoseconds
const LINK_ETHERNET = 1;
const SNAP_LENGTH = 0x4_0000;

/** Takes bytes of a capture file, in order. */
export type CaptureSink = (bytes: Uint8Array) => void;

/**
 * Writes frames as a file in the pcap format (draft-ietf-opsawg-pcap), for Wireshark and tcpdump.
 * Checksums that were left to the other side are put, so that none shows as wrong; segments that stand
 * for several stay whole.
 */
export class Capture {
  readonly #sink: CaptureSink;
  readonly #now: () => number;

  /** @param now milliseconds since 1970 */
  constructor(sink: CaptureSink, now: () => number = Date.now) {
    this.#sink = sink;
    this.#now = now;
    const header = new Uint8Array(24);
    const view = viewOf(header);
    view.setUint32(0, MAGIC, true);
    view.setUint16(4, 2, true);
    view.setUint16(6, 4, true);
    view.setUint32(16, SNAP_LENGTH, true);
    view.setUint32(20, LINK_ETHERNET, true);
    sink(header);
  }

  add(pieces: readonly Uint8Array[], offload: Offload): void {
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const record = new Uint8Array(16 + length);
    const view = viewOf(record);
    const now = this.#now();
    view.setUint32(0, Math.floor(now / 1000), true);
    view.setUint32(4, Math.floor((now % 1000) * 1e6), true);
    view.setUint32(8, length, true);
    view.setUint32(12, length, true);
    let at = 16;
    for (const piece of pieces) {
      record.set(piece, at);
      at += piece.length;
    }
    if (offload.checksum !== undefined) {
      const { start, offset } = offload.checksum;
      if (16 + start + offset + 2 <= record.length) {
        view.setUint16(16 + start + offset, checksum(record, 16 + start));
      }
    }
    this.#sink(record);
  }
}
