import type { GuestMemory } from '../guest-memory.ts';
import * as at from '../layout.ts';
import { jumpSlot } from './lookup.ts';
import { regionsModule } from './module.ts';
import { findRegion, type Region } from './region.ts';

export interface JitOptions {
  /** Jumps to a place until it is compiled. */
  readonly threshold: number;
  /** Places that are compiled together. With 1 at once, else between slices. */
  readonly batch: number;
  /** Functions that are kept; when there are more, all are dropped. Default 16384. */
  readonly capacity?: number;
}

export const defaultJit: JitOptions = { threshold: 1000, batch: 32 };

interface Compiled {
  readonly place: number;
  readonly index: number;
}

interface Page {
  readonly compiled: Map<number, Compiled>;
  /** How often its code was written over soon after it had been compiled. */
  strikes: number;
}

const CAPACITY = 16384;
/** Slices that a place waits for others to be compiled with. */
const PATIENCE = 64;
/** A page whose code is written over so often is left to the interpreter. */
const STRIKES = 16;
const PAGE = 4096;

/**
 * Compiled code of a hart: what is compiled, where it is entered, and when it goes. Which code is
 * compiled when has no influence on what the guest sees.
 */
export class Jit {
  readonly table: WebAssembly.Table;
  readonly #memory: GuestMemory;
  readonly #own: WebAssembly.Memory;
  readonly #options: JitOptions;
  readonly #fused: boolean;
  readonly #words: Int32Array;
  readonly #codePages: Uint8Array;
  readonly #tlb: DataView;
  readonly #pages = new Map<number, Page>();
  readonly #waiting = new Set<number>();
  #patience = 0;
  #used = 0;

  /** @param own memory of the hart's state and TLBs */
  constructor(memory: GuestMemory, own: WebAssembly.Memory, fused: boolean, options: JitOptions) {
    this.#memory = memory;
    this.#own = own;
    this.#options = options;
    const initial = options.capacity ?? CAPACITY;
    this.table = new WebAssembly.Table({ element: 'anyfunc', initial });
    this.#fused = fused;
    const { buffer } = own;
    this.#words = new Int32Array(buffer, 0, at.RAM_OFFSET / 4);
    this.#codePages = new Uint8Array(buffer, at.CODE_PAGES, at.CODE_PAGES_END - at.CODE_PAGES);
    this.#tlb = new DataView(buffer, at.TLB, at.TLB_END - at.TLB);
    this.#words[at.THRESHOLD >> 2] = options.threshold;
    memory.onCodeWritten = (page) => this.written(page);
  }

  /** The instruction at `place` of the memory was jumped to often. Whether it is compiled now. */
  hot(place: number): boolean {
    let known = this.#find(place);
    if (known === undefined) {
      this.#waiting.add(place);
      if (this.#options.batch === 1) this.#compile();
      known = this.#find(place);
    }
    if (known !== undefined) this.#enter(known);
    return known !== undefined;
  }

  /** Between slices: compiles what waits, where it is time to. */
  poll(): void {
    if (this.#waiting.size === 0) return;
    this.#patience++;
    if (this.#waiting.size >= this.#options.batch || this.#patience >= PATIENCE) this.#compile();
  }

  /** A page of RAM is about to be written: its code must not be entered again. */
  written(page: number): void {
    this.#codePages[page >> 3]! &= ~(1 << (page & 7));
    const known = this.#pages.get(page);
    if (known === undefined || known.compiled.size === 0) return;
    known.strikes++;
    for (const { place, index } of known.compiled.values()) {
      const slot = jumpSlot(place) >> 2;
      if (this.#words[slot] === place) this.#words[slot] = 0;
      this.table.set(index, null);
    }
    known.compiled.clear();
  }

  #find(place: number): Compiled | undefined {
    return this.#pages.get(pageOf(place))?.compiled.get(place);
  }

  #compile(): void {
    const { length } = this.table;
    const places = [...this.#waiting].slice(0, length);
    this.#waiting.clear();
    this.#patience = 0;
    if (this.#used + places.length > length) this.#dropAll();
    const regions = this.#regions(places);
    if (regions.length === 0) return;
    const first = this.#used;
    try {
      const module = new WebAssembly.Module(
        regionsModule(
          regions.map(({ region }) => region),
          first,
          { fused: this.#fused, shared: this.#memory.shared },
        ),
      );
      const env = { memory: this.#own, ram: this.#memory.wasm, table: this.table };
      new WebAssembly.Instance(module, { env });
    } catch (error) {
      if (!(error instanceof WebAssembly.CompileError || error instanceof RangeError)) throw error;
      for (const { page } of regions) this.#page(page).strikes = STRIKES;
      return;
    }
    this.#used += regions.length;
    for (const [number, { page, region }] of regions.entries()) {
      for (const offset of region.entries) {
        this.#add(page, { place: placeOf(page, offset), index: first + number });
      }
    }
    this.#markTlb();
  }

  /** One for each page that has some of the places. */
  #regions(places: readonly number[]): { readonly page: number; readonly region: Region }[] {
    const byPage = Map.groupBy(places, pageOf);
    return [...byPage].flatMap(([page, all]) => {
      const { strikes, compiled } = this.#page(page);
      if (strikes >= STRIKES) return [];
      const known = new Set([...compiled.keys()].map(offsetOf));
      const bytes = this.#memory.readable(this.#memory.base + page * PAGE, PAGE);
      const region = findRegion(bytes, all.map(offsetOf), known);
      return region.entries.length === 0 ? [] : [{ page, region }];
    });
  }

  #add(page: number, compiled: Compiled): void {
    this.#page(page).compiled.set(compiled.place, compiled);
    this.#codePages[page >> 3]! |= 1 << (page & 7);
    this.#enter(compiled);
  }

  #enter({ place, index }: Compiled): void {
    const slot = jumpSlot(place) >> 2;
    this.#words[slot] = place;
    this.#words[slot + 1] = index;
  }

  #page(page: number): Page {
    let found = this.#pages.get(page);
    if (found === undefined) {
      found = { compiled: new Map(), strikes: 0 };
      this.#pages.set(page, found);
    }
    return found;
  }

  /** Entries of the TLB for writes to pages with code do not answer. */
  #markTlb(): void {
    const view = this.#tlb;
    const first = at.tlbOf(at.TlbKind.write) - at.TLB;
    for (let entry = first; entry < first + at.TLB_MODES * at.TLB_BYTES; entry += 16) {
      const low = view.getUint32(entry, true);
      if ((low & 0xfff) !== 0) continue;
      const page = pageOf(low + view.getUint32(entry + 8, true));
      if (((this.#codePages[page >> 3]! >> (page & 7)) & 1) === 0) continue;
      view.setUint32(entry, low | at.CODE_TAG, true);
    }
  }

  #dropAll(): void {
    this.#words.fill(0, at.JUMPS >> 2, (at.JUMPS + at.JUMPS_BYTES) >> 2);
    this.#codePages.fill(0);
    this.#pages.clear();
    for (let index = 0; index < this.#used; index++) this.table.set(index, null);
    this.#used = 0;
  }
}

/** Page of RAM that a place of the memory is in. */
const pageOf = (place: number): number => ((place >>> 0) - at.RAM_OFFSET) >>> 12;
const offsetOf = (place: number): number => place & (PAGE - 1);
/** As i32, like the places that the interpreter tells. */
const placeOf = (page: number, offset: number): number =>
  (at.RAM_OFFSET + page * PAGE + offset) | 0;
