import type { Filler } from './piece.ts';

/** Encodes all of its input as one stream of its own. */
export type Encode = (bytes: Uint8Array) => Uint8Array;

/** Input per room that is tried first. */
const FIRST_RATIO = 3;
/** A room with less than this part left is full. */
const SLACK = 256;
/** Guesses aim at so much less than the room, as a part of it: a little too much is a try in vain. */
const AIM = 512;
const TRIES = 12;
/** After so many tries lengths are halved, whatever the sizes say. */
const TRIES_BY_SIZE = 5;

/**
 * Fills rooms by an encoder that takes inputs of fixed size: searches for the longest input whose
 * output fits. The ratio of the pcluster before is the first guess; later ones come from the ratio
 * between what fits and what does not.
 */
export class SearchFiller implements Filler {
  readonly #encode: Encode;
  readonly #memory: Uint8Array;
  #ratio = FIRST_RATIO;

  constructor(encode: Encode, memory: Uint8Array) {
    this.#encode = encode;
    this.#memory = memory;
  }

  begin(): void {
    this.#ratio = FIRST_RATIO;
  }

  fill(start: number, end: number, target: number, room: number) {
    const left = end - start;
    const enough = room - Math.floor(room / SLACK);
    let fits = 0;
    let produced = 0;
    let tooLong = left + 1;
    let tooLongSize = Number.POSITIVE_INFINITY;
    const aim = room - Math.floor(room / AIM);
    let guess = Math.floor(aim * this.#ratio);
    for (let tries = 0; fits + 1 < tooLong && produced < enough && tries < TRIES; tries++) {
      const length = Math.max(Math.min(guess, tooLong - 1), fits + 1);
      const encoded = this.#encode(this.#memory.subarray(start, start + length));
      // Readers skip zeros before a stream: one that begins with a zero cannot be told from them.
      if (encoded[0] === 0) break;
      if (encoded.length <= room) {
        fits = length;
        produced = encoded.length;
        this.#memory.set(encoded, target);
      } else {
        tooLong = length;
        tooLongSize = encoded.length;
        // Input that does not even shrink is not worth a search.
        if (fits === 0 && (length <= room || encoded.length >= length)) break;
      }
      if (tooLong > left) guess = Math.floor((aim * fits) / produced);
      else if (fits === 0) guess = Math.floor((length * aim) / encoded.length) - 1;
      else guess = between(fits, tooLong, (aim - produced) / (tooLongSize - produced), tries);
    }
    if (fits > 0) this.#ratio = fits / produced;
    return { consumed: fits, produced };
  }
}

/** Between two lengths that are known sizes grow about evenly: the length at a share of the way. */
function between(fits: number, tooLong: number, share: number, tries: number): number {
  const bounded = tries < TRIES_BY_SIZE ? Math.min(Math.max(share, 0.02), 0.98) : 0.5;
  return fits + Math.floor((tooLong - fits) * bounded);
}
