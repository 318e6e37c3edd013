import * as at from '../layout.ts';
import type { PageMap } from './page-map.ts';
import type { PlacedRegion } from './translate.ts';

/** Where a function of compiled code is entered, and the pages of RAM that it lies in. */
export interface Lie {
  /** Places, all of them of loose code or none: see `looseAt`. */
  readonly entries: readonly number[];
  readonly pages: readonly number[];
  /** What the pages held, one after another, where others may change RAM unnoticed. */
  readonly copies?: readonly Int32Array[];
}

/** A region of code that is about to be compiled, with the pages that it was found in. */
export interface MappedRegion extends PlacedRegion {
  readonly map: PageMap;
}

/** @param shared whether others may change RAM unnoticed */
export function lieOf(region: MappedRegion, shared: boolean): Lie {
  const { entries, blocks, pages, places, map, isLoose } = region;
  const start = places.get(0)!;
  const known = (place: number): number => (isLoose ? at.looseAt(place) : place);
  return {
    entries: entries.map((index) => known((start + blocks[index]!.offset) | 0)),
    pages: pages.map((page) => at.pageOf(places.get(page)!)),
    ...(shared && { copies: pages.map((page) => map.copyOf(page)) }),
  };
}
