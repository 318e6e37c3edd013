import type { Decode, DecodedPages } from '../decoded/pages.ts';
import * as at from '../layout.ts';
import type { CodeModule } from './code-module.ts';
import type { Lie } from './lie.ts';
import { AdoptedCode, packCode, type SharedCode, type SharedFunction } from './shared-code.ts';

/** A function in the table, and what it stands for. */
export interface Compiled {
  readonly index: number;
  /** Where it comes from, and its number there. */
  readonly module: CodeModule;
  readonly number: number;
  /** Places at which it is entered, see {@link Lie}. */
  readonly entries: readonly number[];
  /** Pages of RAM that have its instructions. */
  readonly pages: readonly number[];
}

/** Code that is being compiled elsewhere. */
export interface ExpectedCode {
  readonly pages: readonly number[];
  /** Whether all of its pages are still what they were. */
  isValid: boolean;
}

/** A page whose compiled code is written over so often is not compiled again. */
const STRIKES = 16;
/** Functions that the table has room for at first: a table for all takes as long to make as a small machine. */
const FIRST_ROOM = 512;

/** Compiled code of a hart: where it is entered, and when it goes. */
export class CodeHeap {
  readonly table: WebAssembly.Table;
  readonly #capacity: number;
  /** Absent where pages are not decoded. */
  readonly #decoded: DecodedPages | undefined;
  readonly #words: Int32Array;
  readonly #codePages: Uint8Array;
  readonly #tlb: DataView;
  readonly #tlbUsed: Uint16Array;
  readonly #byPlace = new Map<number, Compiled>();
  readonly #byPage = new Map<number, Set<Compiled>>();
  /** In the order of their making. */
  readonly #all = new Set<Compiled>();
  readonly #expected = new Map<number, Set<ExpectedCode>>();
  /** How often compiled code of a page was written over. */
  readonly #strikes = new Map<number, number>();
  readonly #free: number[] = [];
  #used = at.DECODED + 1;
  /** What another hart shared. */
  #adopted: AdoptedCode | undefined;
  /** What {@link share} gave, as long as it is true. */
  #shared: SharedCode | undefined;
  readonly #ram: Int32Array;
  /** Pages as they were compiled, where others may change them unnoticed: in RAM that harts share. */
  readonly #copies = new Map<number, Int32Array>();

  /**
   * @param own memory of the hart's state and TLBs
   * @param ram memory that RAM is in
   */
  constructor(
    own: WebAssembly.Memory,
    ram: WebAssembly.Memory,
    capacity: number,
    decoded?: DecodedPages,
  ) {
    this.#decoded = decoded;
    this.#ram = new Int32Array(ram.buffer);
    this.#capacity = capacity + this.#used;
    const initial = Math.min(this.#capacity, FIRST_ROOM);
    this.table = new WebAssembly.Table({ element: 'anyfunc', initial });
    const { buffer } = own;
    this.#words = new Int32Array(buffer, 0, at.RAM_OFFSET / 4);
    this.#codePages = new Uint8Array(buffer, at.CODE_PAGES, at.CODE_PAGES_END - at.CODE_PAGES);
    this.#tlb = new DataView(buffer, at.TLB, at.TLB_END - at.TLB);
    this.#tlbUsed = new Uint16Array(buffer, at.TLB_USED, 3 * at.TLB_MODES);
  }

  has(place: number): boolean {
    return this.#byPlace.has(place) || this.#adopted?.has(place) === true;
  }

  /** Has the interpreter find what is entered at `place`, if there is any. */
  enter(place: number): boolean {
    const compiled = this.#byPlace.get(place);
    if (compiled === undefined) return this.#take(place);
    this.#announce(place, compiled.index);
    return true;
  }

  /** What is compiled, for other harts, but for what is loose: where a stack lies may be another. Stays as it is. */
  share(): SharedCode {
    const own = [...this.#all].filter(({ entries }) => !at.isLoose(entries[0]!));
    this.#shared ??= packCode([...own, ...(this.#adopted?.rest() ?? [])]);
    return this.#shared;
  }

  /** Takes code that another hart shared: each function comes into the table when it is entered first. */
  adopt(code: SharedCode, env: WebAssembly.ModuleImports): void {
    this.#shared = undefined;
    this.#adopted = new AdoptedCode(
      code,
      env,
      (place) => this.#announce(place, at.LOADER),
      (page) => this.#watch(page),
    );
    this.markTlb();
  }

  /** What was adopted for a place becomes the hart's own. */
  #take(place: number): boolean {
    const found = this.#adopted?.take(place);
    try {
      if (found !== undefined) this.add(found);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
    if (this.#byPlace.has(place)) return true;
    this.#retract(place);
    return false;
  }

  /** Notes what a page was compiled as; code of it that was made of something else goes. */
  #keep(page: number, copy: Int32Array): void {
    const known = this.#copies.get(page);
    if (known !== undefined && !isSame(known, copy, 0)) this.written(page);
    this.#copies.set(page, copy);
  }

  /** Whether pages are still what was compiled; notes what that is where others may change them. */
  admit({ pages, copies }: Lie): boolean {
    if (copies === undefined) return true;
    if (!pages.every((page, index) => this.#isAsIn(page, copies[index]!))) return false;
    for (const [index, page] of pages.entries()) this.#keep(page, copies[index]!);
    return true;
  }

  #isAsIn(page: number, copy: Int32Array): boolean {
    return isSame(copy, this.#ram, (at.RAM_OFFSET >>> 2) + page * copy.length);
  }

  /** Drops code of pages that others have changed. */
  dropChanged(): void {
    for (const [page, copy] of this.#copies) {
      if (!this.#isAsIn(page, copy)) this.written(page);
    }
  }

  /**
   * Watches pages whose code is about to be compiled elsewhere, up to {@link settle}. {@link markTlb} is to be
   * called afterwards.
   */
  expect(pages: readonly number[]): ExpectedCode {
    const expected = { pages, isValid: true };
    for (const page of pages) {
      let known = this.#expected.get(page);
      if (known === undefined) {
        known = new Set();
        this.#expected.set(page, known);
      }
      known.add(expected);
      this.#watch(page);
    }
    return expected;
  }

  /** The code is there, or not to come. Whether it still stands for its pages. */
  settle(expected: ExpectedCode): boolean {
    for (const page of expected.pages) {
      const known = this.#expected.get(page);
      known?.delete(expected);
      if (known?.size === 0) this.#expected.delete(page);
    }
    return expected.isValid;
  }

  /** Drops the oldest code when there is no room. @throws RangeError where the host has none */
  add(code: SharedFunction): void {
    const body = code.module.function(code.number);
    const index = this.#room();
    const compiled = { ...code, index };
    this.table.set(index, body);
    this.#shared = undefined;
    this.#all.add(compiled);
    for (const page of compiled.pages) {
      let known = this.#byPage.get(page);
      if (known === undefined) {
        known = new Set();
        this.#byPage.set(page, known);
      }
      known.add(compiled);
      this.#watch(page);
    }
    for (const place of compiled.entries) {
      this.#byPlace.set(place, compiled);
      this.#announce(place, index);
    }
  }

  /** A page of RAM is about to be written: its code must not be entered again. */
  written(page: number): void {
    const known = this.#byPage.get(page);
    const expected = this.#expected.get(page);
    this.#decoded?.written(page);
    if (known !== undefined || expected !== undefined) {
      this.#strikes.set(page, (this.#strikes.get(page) ?? 0) + 1);
    }
    for (const compiled of [...(known ?? [])]) this.#drop(compiled);
    for (const each of expected ?? []) each.isValid = false;
    this.#expected.delete(page);
    this.#unwatch(page);
  }

  /** Has a page decoded as far as it is executed. {@link markTlb} is to be called afterwards. */
  decode(page: number, decode: Decode): void {
    const decoded = this.#decoded!;
    if (decoded.has(page)) return;
    decoded.add(page, decode);
    this.#watch(page);
    const entries = new Set([...(this.#byPage.get(page) ?? [])].flatMap((each) => each.entries));
    for (const place of entries) {
      const index = this.#byPlace.get(place)?.index;
      if (index !== undefined && at.pageOf(place) === page && !at.isLoose(place)) {
        decoded.enter(place, index);
      }
    }
    for (const place of this.#adopted?.placesIn(page) ?? []) decoded.enter(place, at.LOADER);
  }

  /** Has the page of a place not be compiled again. */
  giveUp(place: number): void {
    this.#strikes.set(at.pageOf(place), STRIKES);
  }

  isGivenUp(place: number): boolean {
    return (this.#strikes.get(at.pageOf(place)) ?? 0) >= STRIKES;
  }

  /** Entries of the TLB for writes to pages with code do not answer. To be called after {@link add}. */
  markTlb(): void {
    const first = at.TlbKind.write * at.TLB_MODES;
    for (let table = first; table < first + at.TLB_MODES; table++) {
      let parts = this.#tlbUsed[table]!;
      for (; parts !== 0; parts &= parts - 1) {
        this.#markTlbPart(table * at.TLB_BYTES + (31 - Math.clz32(parts & -parts)) * at.TLB_PART);
      }
    }
  }

  #markTlbPart(start: number): void {
    const view = this.#tlb;
    for (let entry = start; entry < start + at.TLB_PART; entry += 16) {
      const low = view.getUint32(entry, true);
      const delta = view.getUint32(entry + 8, true);
      // A tag that never matches, and an empty entry.
      if ((low & 0xfff) !== 0 || (low === 0 && delta === 0)) continue;
      const page = at.pageOf(low + delta);
      if (((this.#codePages[page >> 3]! >> (page & 7)) & 1) === 0) continue;
      view.setUint32(entry, low | at.CODE_TAG, true);
    }
  }

  /** Has writes to a page noticed. */
  #watch(page: number): void {
    this.#codePages[page >> 3]! |= 1 << (page & 7);
  }

  #unwatch(page: number): void {
    this.#shared = undefined;
    this.#adopted?.lose(page);
    this.#codePages[page >> 3]! &= ~(1 << (page & 7));
  }

  #announce(place: number, index: number): void {
    const slot = at.jumpSlot(place) >> 2;
    this.#words[slot] = place;
    this.#words[slot + 1] = index;
    if (!at.isLoose(place)) this.#decoded?.enter(place, index);
  }

  #retract(place: number): void {
    const slot = at.jumpSlot(place) >> 2;
    if (this.#words[slot] === place) this.#words[slot] = 0;
    if (!at.isLoose(place)) this.#decoded?.restore(place);
  }

  #room(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#used < this.#capacity) {
      const { length } = this.table;
      if (this.#used === length) this.table.grow(Math.min(length, this.#capacity - length));
      return this.#used++;
    }
    const [oldest] = this.#all;
    this.#drop(oldest!);
    return this.#free.pop()!;
  }

  #drop(compiled: Compiled): void {
    const { index, entries, pages } = compiled;
    for (const place of entries) {
      this.#retract(place);
      if (this.#byPlace.get(place) === compiled) this.#byPlace.delete(place);
    }
    for (const page of pages) {
      const known = this.#byPage.get(page)!;
      known.delete(compiled);
      if (known.size > 0) continue;
      this.#byPage.delete(page);
      this.#copies.delete(page);
      if (!this.#expected.has(page) && !this.#decoded?.has(page)) this.#unwatch(page);
    }
    this.#shared = undefined;
    this.#all.delete(compiled);
    this.table.set(index, null);
    this.#free.push(index);
  }
}

/** Whether `words` has `copy` from its element `start` on. */
function isSame(copy: Int32Array, words: Int32Array, start: number): boolean {
  for (let i = 0; i < copy.length; i++) if (copy[i] !== words[start + i]) return false;
  return true;
}
