import { pageOf } from '../layout.ts';
import type { Compiled } from './code-heap.ts';
import { CodeModule } from './code-module.ts';

/**
 * Compiled code of a hart at one moment, for harts of any thread of this process whose RAM is the same
 * then: what the host's compiler made of it is there once. Nothing of it changes.
 */
export interface SharedCode {
  readonly modules: readonly WebAssembly.Module[];
  /** A record for each function, one behind the other: see {@link Field}. */
  readonly functions: Int32Array<SharedArrayBuffer>;
}

/** A function of {@link SharedCode}, or one to be shared. */
export type SharedFunction = Omit<Compiled, 'index'>;

/** Words of a record: index of the module, number of the function in there, then two lists with their lengths. */
const Field = { module: 0, number: 1, entries: 2, pages: 3, lists: 4 } as const;

export function packCode(functions: readonly SharedFunction[]): SharedCode {
  const indexes = new Map<CodeModule, number>();
  let size = 0;
  for (const { module, entries, pages } of functions) {
    if (!indexes.has(module)) indexes.set(module, indexes.size);
    size += Field.lists + entries.length + pages.length;
  }
  const words = new Int32Array(new SharedArrayBuffer(4 * size));
  let at = 0;
  for (const { module, number, entries, pages } of functions) {
    words[at + Field.module] = indexes.get(module)!;
    words[at + Field.number] = number;
    words[at + Field.entries] = entries.length;
    words[at + Field.pages] = pages.length;
    at += Field.lists;
    for (const entry of entries) words[at++] = entry;
    for (const page of pages) words[at++] = page;
  }
  return { modules: [...indexes.keys()].map(({ module }) => module), functions: words };
}

/**
 * Code that another hart shared, as far as this one has not taken it yet. It is much, and a machine that
 * is forked to do little takes little of it: a function is a record until it is entered.
 */
export class AdoptedCode {
  readonly #modules: readonly CodeModule[];
  readonly #words: Int32Array;
  /** Records by the places at which their functions are entered. */
  readonly #byPlace = new Map<number, number>();
  /** All places of the records by their pages, once somebody asks. */
  #placesOf: ReadonlyMap<number, readonly number[]> | undefined;
  /** Pages that were written: what lies there is not what was compiled. */
  readonly #lost = new Set<number>();

  /**
   * @param env see {@link CodeModule}
   * @param announce told of each place at which code is entered
   * @param watch told of each page that code lies in, once or more often
   */
  constructor(
    { modules, functions }: SharedCode,
    env: WebAssembly.ModuleImports,
    announce: (place: number) => void,
    watch: (page: number) => void,
  ) {
    this.#modules = modules.map((module) => new CodeModule(module, env));
    this.#words = functions;
    for (let record = 0; record < functions.length; ) {
      let at = record + Field.lists;
      const pages = at + functions[record + Field.entries]!;
      const end = pages + functions[record + Field.pages]!;
      for (; at < pages; at++) {
        this.#byPlace.set(functions[at]!, record);
        announce(functions[at]!);
      }
      for (; at < end; at++) watch(functions[at]!);
      record = end;
    }
  }

  has(place: number): boolean {
    const record = this.#byPlace.get(place);
    return record !== undefined && this.#isWhole(record);
  }

  /** The function that is entered at a place; from then on it is the taker's. */
  take(place: number): SharedFunction | undefined {
    const record = this.#byPlace.get(place);
    if (record === undefined) return undefined;
    const taken = this.#read(record);
    for (const entry of taken.entries) this.#byPlace.delete(entry);
    return this.#isWhole(record) ? taken : undefined;
  }

  /** Where code is entered in a page that was not taken. */
  placesIn(page: number): number[] {
    this.#placesOf ??= byPage(this.#byPlace.keys());
    return (this.#placesOf.get(page) ?? []).filter((place) => this.has(place));
  }

  /** What was not taken. */
  rest(): SharedFunction[] {
    const records = new Set(this.#byPlace.values());
    return [...records]
      .filter((record) => this.#isWhole(record))
      .map((record) => this.#read(record));
  }

  /** A page is not what it was, or nobody looks any more whether it is. */
  lose(page: number): void {
    this.#lost.add(page);
  }

  #isWhole(record: number): boolean {
    return this.#lost.size === 0 || this.#read(record).pages.every((page) => !this.#lost.has(page));
  }

  #read(record: number): SharedFunction {
    const words = this.#words;
    const entries = record + Field.lists;
    const pages = entries + words[record + Field.entries]!;
    return {
      module: this.#modules[words[record + Field.module]!]!,
      number: words[record + Field.number]!,
      entries: [...words.subarray(entries, pages)],
      pages: [...words.subarray(pages, pages + words[record + Field.pages]!)],
    };
  }
}

function byPage(places: Iterable<number>): Map<number, number[]> {
  const pages = new Map<number, number[]>();
  for (const place of places) {
    const page = pageOf(place);
    const known = pages.get(page);
    if (known === undefined) pages.set(page, [place]);
    else known.push(place);
  }
  return pages;
}
