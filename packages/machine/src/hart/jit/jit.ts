import type { GuestMemory } from '../guest-memory.ts';
import * as at from '../layout.ts';
import { CodeHeap } from './code-heap.ts';
import { CodeModule } from './code-module.ts';
import type { Explorer } from './explore.ts';
import type { regionsModule } from './module.ts';
import type { JitOptions } from './options.ts';
import { PageMap } from './page-map.ts';
import type { SharedCode } from './shared-code.ts';
import type { PlacedRegion } from './translate.ts';

const CAPACITY = 16384;
/** Slices that a place waits for others to be compiled with, unless it becomes hot once more. */
const PATIENCE = 1000;
/** Instructions that a hart executes until it is worth compiling more for. */
const WARM = 200_000_000;
/** Instructions of a region. */
const LIMIT = 320;

/** What compiles: much code, and the instructions of the guest, which short commands do without. */
interface Compiler {
  readonly Explorer: typeof Explorer;
  readonly regionsModule: typeof regionsModule;
}

let compiler: Compiler | undefined;

/** Has what compiles at hand. A {@link Jit} that does not find it asks for it, and compiles later. */
export async function loadCompiler(): Promise<void> {
  const [{ Explorer }, { regionsModule }] = await Promise.all([
    import('./explore.ts'),
    import('./module.ts'),
  ]);
  compiler = { Explorer, regionsModule };
}

interface MappedRegion extends PlacedRegion {
  readonly map: PageMap;
}

interface Hot {
  readonly place: number;
  /** The map of the address space that jumped there, and its address in it. */
  readonly map: PageMap;
}

/**
 * Compiles code of a hart that is executed often. Which code is compiled when has no influence on
 * what the guest sees.
 */
export class Jit {
  readonly heap: CodeHeap;
  readonly #memory: GuestMemory;
  readonly #own: WebAssembly.Memory;
  readonly #options: JitOptions;
  readonly #fused: boolean;
  /** What modules of compiled code import. */
  readonly #env: WebAssembly.ModuleImports;
  readonly #waiting = new Map<number, Hot>();
  #patience = PATIENCE;
  #loading: Promise<void> | undefined;
  /** Count of instructions from which on the hart is warm; undefined before the first look. */
  #warmAt: number | undefined;
  #isWarm: boolean;

  /** @param own memory of the hart's state and TLBs */
  constructor(memory: GuestMemory, own: WebAssembly.Memory, fused: boolean, options: JitOptions) {
    this.#memory = memory;
    this.#own = own;
    this.#options = options;
    this.#fused = fused;
    this.heap = new CodeHeap(own, memory.wasm, options.capacity ?? CAPACITY);
    this.#env = { memory: own, ram: memory.wasm, table: this.heap.table };
    const { threshold, coldThreshold = threshold } = options;
    this.#isWarm = coldThreshold === threshold;
    this.#setThreshold();
    memory.onCodeWritten = (page) => this.heap.written(page);
  }

  /**
   * The instruction at `place` of the memory, which is at PC in the address space at hand, was jumped
   * to often. Whether it is compiled now.
   */
  hot(place: number): boolean {
    if (this.heap.enter(place)) return true;
    if (this.#waiting.has(place)) this.#patience = 0;
    this.#waiting.set(place, { place, map: new PageMap(this.#own, this.#memory, place) });
    if (this.#options.batch > 1) return false;
    this.#compile();
    return this.heap.enter(place);
  }

  /**
   * Between slices: compiles what waits, where it is time to.
   *
   * @param executed instructions that the hart has executed, from whatever count on
   */
  poll(executed: number): void {
    if (!this.#isWarm) this.#warm(executed);
    if (this.#waiting.size === 0) return;
    this.#patience--;
    if (this.#waiting.size >= this.#options.batch || this.#patience < 0) this.#compile();
  }

  #warm(executed: number): void {
    this.#warmAt ??= executed + WARM;
    if (executed < this.#warmAt) return;
    this.#isWarm = true;
    this.#setThreshold();
  }

  #setThreshold(): void {
    const { threshold, coldThreshold = threshold } = this.#options;
    const words = new Int32Array(this.#own.buffer);
    words[at.THRESHOLD >> 2] = this.#isWarm ? threshold : coldThreshold;
  }

  /** See `Hart.shareCode`. */
  share(): SharedCode {
    return this.heap.share();
  }

  /** See `Hart.adoptCode`. */
  adopt(code: SharedCode): void {
    this.heap.adopt(code, this.#env);
  }

  #compile(): void {
    const places = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#patience = PATIENCE;
    if (compiler === undefined) {
      // What is hot is soon so again. Where nothing can be loaded, all stays with the interpreter.
      this.#loading ??= loadCompiler().catch(() => {});
      return;
    }
    const regions = this.#regions(places, compiler);
    if (regions.length === 0) return;
    const { shared } = this.#memory;
    try {
      const bytes = compiler.regionsModule(regions, { fused: this.#fused, shared });
      const module = new CodeModule(new WebAssembly.Module(bytes), this.#env);
      for (const [number, region] of regions.entries()) {
        if (shared) this.#keep(region);
        this.heap.add({ module, number, ...lieOf(region) });
      }
    } catch (error) {
      if (!(error instanceof WebAssembly.CompileError || error instanceof RangeError)) throw error;
      for (const { places } of regions) this.heap.giveUp(places.get(0)!);
      return;
    }
    this.heap.markTlb();
  }

  #keep({ pages, places, map }: MappedRegion): void {
    for (const page of pages) this.heap.keep(at.pageOf(places.get(page)!), map.copyOf(page));
  }

  /** Places that another one's region covers become entries of it. */
  #regions(hot: readonly Hot[], { Explorer }: Compiler): MappedRegion[] {
    const found: { readonly map: PageMap; readonly explorer: InstanceType<typeof Explorer> }[] = [];
    for (const { place, map } of hot) {
      if (this.heap.has(place) || this.heap.isGivenUp(place)) continue;
      const offset = place & 0xfff;
      const cover = found.find(
        (each) => each.map.place === map.place && each.explorer.covers(offset),
      );
      if (cover !== undefined) {
        cover.explorer.explore([offset]);
        continue;
      }
      const known = (at: number): boolean => this.heap.has(map.placeOf(at) ?? 0);
      const explorer = new Explorer(map.read, known, LIMIT);
      explorer.explore([offset]);
      found.push({ map, explorer });
    }
    return found
      .map(({ map, explorer }) => ({ ...explorer.region(), places: map.places, map }))
      .filter(({ entries }) => entries.length > 0);
  }
}

/** Where a region is entered, and the pages of RAM that it lies in. */
function lieOf({ entries, blocks, pages, places }: PlacedRegion) {
  const start = places.get(0)!;
  return {
    entries: entries.map((index) => (start + blocks[index]!.offset) | 0),
    pages: pages.map((page) => at.pageOf(places.get(page)!)),
  };
}
