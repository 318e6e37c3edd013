import { viewOf } from '@anole/bytes';

/** Numbers below `limit`, the same for the same seed (mulberry32). */
export function random(seed: number): (limit: number) => number {
  let state = seed | 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

const notable = [0, 1, 2, 7, 12, 31, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x10000];
const large = [0x7fffffff, 0x80000000, 0xffffffff];

/**
 * A copy with some bytes changed.
 *
 * @param places bytes that count; most changes lie within the 128 after one of them
 */
export function mutate(
  input: Uint8Array,
  below: (limit: number) => number,
  places: readonly number[] = [],
): Uint8Array {
  const bytes = input.slice();
  if (bytes.length < 16) return bytes.map((byte) => (below(3) === 0 ? below(256) : byte));
  const view = viewOf(bytes);
  const last = bytes.length - 8;
  const place = () => {
    if (places.length === 0 || below(4) === 0) return below(last);
    return Math.min(last, places[below(places.length)]! + below(128));
  };
  for (let count = 1 + below(6); count > 0; count--) {
    const at = place();
    const value = below(3) === 0 ? large[below(large.length)]! : notable[below(notable.length)]!;
    const kind = below(8);
    if (kind === 0) bytes[at] = below(256);
    else if (kind === 1) bytes[at] = bytes[at]! ^ (1 << below(8));
    else if (kind === 2) view.setUint16(at & ~1, value & 0xffff, true);
    else if (kind === 3) view.setUint32(at & ~3, value, true);
    else if (kind === 4)
      view.setUint16(at & ~1, view.getUint16(at & ~1, true) + below(9) - 4, true);
    else if (kind === 5)
      view.setUint32(at & ~3, view.getUint32(at & ~3, true) + below(5) - 2, true);
    else if (kind === 6) bytes.copyWithin(at, place(), Math.min(bytes.length, place() + 64));
    else bytes.fill(below(256), at, Math.min(bytes.length, at + 1 + below(64)));
  }
  return below(20) === 0 ? bytes.subarray(0, below(bytes.length)) : bytes;
}

/** How an input differs from the one that it was made of: what is kept in the corpus. */
export interface Patch {
  readonly seed: string;
  readonly length: number;
  /** Offsets, and bytes as hexadecimal digits. */
  readonly edits: readonly (readonly [number, string])[];
}

export function patchOf(seed: string, from: Uint8Array, to: Uint8Array): Patch {
  const edits: [number, string][] = [];
  for (let at = 0; at < to.length; at++) {
    if (from[at] === to[at]) continue;
    let end = at + 1;
    // A few equal bytes between two changes cost less than another edit.
    for (let same = 0; end < to.length && same < 8; end++)
      same = from[end] === to[end] ? same + 1 : 0;
    edits.push([at, Buffer.from(to.subarray(at, end)).toString('hex')]);
    at = end;
  }
  return { seed, length: to.length, edits };
}

export function applyPatch(from: Uint8Array, { length, edits }: Patch): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(from.subarray(0, length));
  for (const [at, hex] of edits) {
    const change = Buffer.from(hex, 'hex');
    if (at + change.length <= length) bytes.set(change, at);
  }
  return bytes;
}
