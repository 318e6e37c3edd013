/** A match of an LZ4 block. */
export interface Lz4Reach {
  /** Bytes that it lies back. */
  readonly distance: number;
  /** Byte of the block at which its sequence begins. */
  readonly offset: number;
}

/**
 * The match of a block that lies farthest back, the first of them; undefined where there is none. Source: lz4's
 * doc/lz4_Block_format.md.
 *
 * @param block decodes to `decoded` bytes or more: what comes behind those is not looked at
 */
export function lz4Reach(block: Uint8Array, decoded: number): Lz4Reach | undefined {
  let farthest: Lz4Reach | undefined;
  let at = 0;
  const length = (short: number): number => {
    let sum = short;
    for (let more = short === 15 ? 255 : 0; more === 255 && at < block.length; ) {
      more = block[at++]!;
      sum += more;
    }
    return sum;
  };
  for (let to = 0; at < block.length; ) {
    const offset = at;
    const token = block[at++]!;
    const literals = length(token >> 4);
    at += literals;
    to += literals;
    if (at + 2 > block.length || to >= decoded) break;
    const distance = block[at]! | (block[at + 1]! << 8);
    at += 2;
    to += length(token & 15) + 4;
    if (distance > (farthest?.distance ?? 0)) farthest = { distance, offset };
  }
  return farthest;
}
