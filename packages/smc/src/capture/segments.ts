import { viewOf } from '@anole/bytes';
import type { Datagram } from './frame.ts';

export interface TcpSegment {
  readonly sequence: number;
  readonly isSyn: boolean;
  readonly isAck: boolean;
  readonly isReset: boolean;
  readonly isFin: boolean;
  /** Whether it has the option by which an end says that it speaks SMC. */
  readonly hasSmcOption: boolean;
}

/** Experimental option (RFC 6994) with the eyecatcher of SMC-R; RFC 7609 section 3.1. */
const EXPERIMENT = 254;
const SMC_EXPERIMENT = 0xe2d4c3d9;

export function readSegment({ transport, payload }: Datagram): TcpSegment {
  const view = viewOf(transport);
  const flags = transport[13]!;
  return {
    sequence: view.getUint32(4),
    isSyn: (flags & 0x02) !== 0,
    isAck: (flags & 0x10) !== 0,
    isReset: (flags & 0x04) !== 0,
    isFin: (flags & 0x01) !== 0,
    hasSmcOption: hasSmcOption(view, transport.length - payload.length),
  };
}

function hasSmcOption(view: DataView, end: number): boolean {
  for (let at = 20; at < end; ) {
    const kind = view.getUint8(at);
    if (kind === 0) return false;
    const length = kind === 1 || at + 1 >= end ? 1 : Math.max(2, view.getUint8(at + 1));
    const isExperiment = kind === EXPERIMENT && length >= 6 && at + 6 <= end;
    if (isExperiment && view.getUint32(at + 2) === SMC_EXPERIMENT) return true;
    at += length;
  }
  return false;
}

/** Bytes that wait for those before them, at most. */
const MAX_WAITING = 65536;

/** One direction of a TCP connection: its first bytes in order, whatever came twice or late. */
export class OrderedBytes {
  #next: number | undefined;
  #ready = new Uint8Array();
  #waiting = new Map<number, Uint8Array>();
  #waitingBytes = 0;

  /** What is in order and was not taken yet. */
  get ready(): Uint8Array {
    return this.#ready;
  }

  /** @param sequence of the first byte; where it is the first segment seen, bytes begin with it */
  push(sequence: number, bytes: Uint8Array): void {
    this.#next ??= sequence;
    if (bytes.length === 0) return;
    if (this.#waitingBytes + bytes.length > MAX_WAITING) return;
    const known = this.#waiting.get(sequence);
    if ((known?.length ?? 0) >= bytes.length) return;
    this.#waiting.set(sequence, bytes.slice());
    this.#waitingBytes += bytes.length - (known?.length ?? 0);
    this.#drain();
  }

  take(length: number): Uint8Array {
    const taken = this.#ready.slice(0, length);
    this.#ready = this.#ready.slice(length);
    return taken;
  }

  #drain(): void {
    for (let moved = true; moved; ) {
      moved = false;
      for (const [sequence, bytes] of this.#waiting) {
        const behind = (this.#next! - sequence) | 0;
        if (behind < 0) continue;
        this.#waiting.delete(sequence);
        this.#waitingBytes -= bytes.length;
        if (behind >= bytes.length) continue;
        const fresh = bytes.subarray(behind);
        const joined = new Uint8Array(this.#ready.length + fresh.length);
        joined.set(this.#ready);
        joined.set(fresh, this.#ready.length);
        this.#ready = joined;
        this.#next = (this.#next! + fresh.length) >>> 0;
        moved = true;
      }
    }
  }
}
