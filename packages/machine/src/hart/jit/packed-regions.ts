import type { Block } from './region.ts';
import { type Step, stepOf } from './step.ts';
import type { PlacedRegion } from './translate.ts';

/**
 * Regions as words, for another thread. A region: whether it is loose; the numbers of its entries, pages and
 * blocks; the entries; each page with its place; each block's {@link Block} in order, with the number of its steps; each step's offset, size
 * and word.
 */
const NONE = -0x8000_0000;

export function packRegions(regions: readonly PlacedRegion[]): Int32Array<ArrayBuffer> {
  const words = [regions.length];
  for (const { isLoose, entries, pages, places, blocks } of regions) {
    words.push(Number(isLoose), entries.length, pages.length, blocks.length, ...entries);
    for (const page of pages) words.push(page, places.get(page)!);
    for (const { offset, next, target, follow, taken, back, steps } of blocks) {
      words.push(offset, next, target ?? NONE, follow ?? NONE, taken ?? NONE, back ?? NONE);
      words.push(steps.length);
      for (const step of steps) words.push(step.offset, step.size, step.word);
    }
  }
  return Int32Array.from(words);
}

export function unpackRegions(words: Int32Array): PlacedRegion[] {
  const reader = new Reader(words);
  return times(reader.next(), () => {
    const isLoose = reader.next() !== 0;
    const [entries, pages, blocks] = [reader.next(), reader.next(), reader.next()];
    const region = { entries: times(entries, () => reader.next()) };
    const places = new Map(times(pages, () => [reader.next(), reader.next()] as const));
    return {
      ...region,
      isLoose,
      pages: [...places.keys()],
      places,
      blocks: times(blocks, () => unpackBlock(reader)),
    };
  });
}

function unpackBlock(reader: Reader): Block {
  const [offset, next] = [reader.next(), reader.next()];
  const ways = { target: reader.optional(), follow: reader.optional(), taken: reader.optional() };
  const back = reader.optional();
  const steps = times(reader.next(), () => unpackStep(reader));
  return { offset, next, ...ways, back, steps };
}

function unpackStep(reader: Reader): Step {
  const [offset, size, word] = [reader.next(), reader.next(), reader.next()];
  return stepOf(offset, size, word >>> 0)!;
}

class Reader {
  readonly #words: Int32Array;
  #at = 0;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  next(): number {
    return this.#words[this.#at++]!;
  }

  optional(): number | undefined {
    const value = this.next();
    return value === NONE ? undefined : value;
  }
}

const times = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);
