import { GunzipStream, INFLATE_WINDOW } from '@anole/bytes';

/** Where decoding begins within a deflate stream, and what comes before. */
export interface Beginning {
  /** High bits of the first stored byte with which it begins, 1 to 7; 0 for all of it. */
  readonly bits: number;
  /** Up to 32 KiB. */
  readonly window: Uint8Array;
}

/** Bytes of the input taken at once: not much more is decoded than is looked at. */
const STEP = 4096;

/**
 * Leaves of windows what the blocks behind them refer to, and makes zeros of the rest: a fifth of a window, compressed, is
 * what is left of it.
 */
export class WindowUse {
  readonly #gunzip = new GunzipStream();

  /**
   * A window of which only bytes are left that are used; empty where none are. It decodes to the same.
   *
   * @param stored from the beginning on; where they end before 32 KiB are decoded, and `size` are more, nothing is known
   * @param size bytes of the archive from there to its end
   */
  usedOf(from: Beginning, stored: Uint8Array, size: number): Uint8Array {
    const { window } = from;
    const looked = Math.min(INFLATE_WINDOW, size);
    // Two windows that name each place by two bytes which differ: so what was copied, and from where, shows in both.
    const low = this.#decoded(from, lowNames.subarray(-window.length), stored, looked);
    const high = low && this.#decoded(from, highNames.subarray(-window.length), stored, looked);
    if (low === undefined || high === undefined) return window;
    const used = new Uint8Array(window.length);
    const first = INFLATE_WINDOW - window.length;
    let isUsed = false;
    for (let at = 0; at < looked; at++) {
      if (low[at] === high[at]) continue;
      const place = placeOf(low[at]!, high[at]!) - first;
      used[place] = window[place]!;
      isUsed = true;
    }
    return isUsed ? used : new Uint8Array(0);
  }

  /** Undefined where the input ends too early. */
  #decoded(
    { bits }: Beginning,
    window: Uint8Array,
    stored: Uint8Array,
    size: number,
  ): Uint8Array | undefined {
    const gunzip = this.#gunzip;
    gunzip.start({ hold: bits > 0 ? stored[0]! >> (8 - bits) : 0, bits, window });
    const decoded = new Uint8Array(size);
    let at = 0;
    for (let from = bits > 0 ? 1 : 0; at < size && from < stored.length; from += STEP) {
      gunzip.write(stored.subarray(from, from + STEP));
      for (let piece = gunzip.read(); piece.length > 0; piece = gunzip.read()) {
        const part = piece.subarray(0, size - at);
        decoded.set(part, at);
        at += part.length;
      }
    }
    return at === size ? decoded : undefined;
  }
}

const lowNames = new Uint8Array(INFLATE_WINDOW);
const highNames = new Uint8Array(INFLATE_WINDOW);
for (let place = 0; place < INFLATE_WINDOW; place++) {
  lowNames[place] = place & 255;
  const high = place >> 8;
  // 128 more where they were the same.
  highNames[place] = high === lowNames[place] ? high + 128 : high;
}

function placeOf(low: number, high: number): number {
  return (high & 127) * 256 + low;
}
