/**
 * Fills bytes from a fixed sequence (xorshift32): for runs that must repeat bit by bit. Not for
 * secrets.
 */
export function repeatableRandom(seed = 0x2545_f491): (bytes: Uint8Array) => void {
  let state = seed >>> 0 || 1;
  return (bytes) => {
    for (let i = 0; i < bytes.length; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      bytes[i] = state >>> 16;
    }
  };
}
