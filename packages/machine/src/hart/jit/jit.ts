import { type Decode, DecodedPages } from '../decoded/pages.ts';
import type { GuestMemory } from '../guest-memory.ts';
import * as at from '../layout.ts';
import { type CodeExchange, MOST_GIVEN } from './code-exchange.ts';
import { CodeHeap } from './code-heap.ts';
import { CodeModule } from './code-module.ts';
import type { CompileAnswer } from './compile-order.ts';
import type { compileService } from './compile-service.ts';
import type { Explorer } from './explore.ts';
import { type Lie, lieOf, type MappedRegion } from './lie.ts';
import type { regionsModule } from './module.ts';
import { COLD_JUMPS, type JitOptions } from './options.ts';
import type { packRegions } from './packed-regions.ts';
import { PageMap } from './page-map.ts';
import type { SharedCode } from './shared-code.ts';

const CAPACITY = 16384;
/** Slices that a place waits for others to be compiled with, unless it becomes hot once more. */
const PATIENCE = 1000;
/** Harts that count jumps to one place, each for itself, where one compiles for all: two or more. */
const COUNTING = 2;
/** Instructions that a hart executes until it is worth compiling more for. */
const WARM = 200_000_000;
/** Jumps to a place until its page is decoded. */
const WARM_JUMPS = 256;
/** Instructions of a region, and of one that is loose: up to where another one takes over. */
const LIMIT = 320;
const LOOSE_LIMIT = 64;
/** Times that accesses at a place reach over the end of a page until it is worth loose code; and for how many to count. */
const LOOSE_AFTER = 256;
const MOST_ACROSS = 4096;
/** Places that wait while another thread compiles. */
const MOST_WAITING = 256;
/** Times that the other thread may fail. */
const MOST_FAILURES = 1;

/** What compiles: much code, and the instructions of the guest, which short commands do without. */
interface Compiler {
  readonly decodeFrom: Decode;
  readonly Explorer: typeof Explorer;
  readonly regionsModule: typeof regionsModule;
  readonly packRegions: typeof packRegions;
  readonly compileService: typeof compileService;
}

let compiler: Compiler | undefined;

/** Has what compiles at hand. A {@link Jit} that does not find it asks for it, and compiles later. */
export async function loadCompiler(): Promise<void> {
  const [{ Explorer }, { regionsModule }, { packRegions }, { compileService }, { decodeFrom }] =
    await Promise.all([
      import('./explore.ts'),
      import('./module.ts'),
      import('./packed-regions.ts'),
      import('./compile-service.ts'),
      import('../decoded/decode.ts'),
    ]);
  compiler = { Explorer, regionsModule, packRegions, compileService, decodeFrom };
}

/** Exports of the interpreter; there where code is compiled. */
export interface CodeFunctions {
  /** See {@link ../interpreter/run.ts}. */
  readonly loadCode?: () => void;
  /** See {@link ../decoded/loop.ts}. */
  readonly decoded?: () => void;
}

interface Hot {
  readonly place: number;
  /** The map of the address space that jumped there, and its address in it. */
  readonly map: PageMap;
}

/** What a {@link Jit} works for. */
export interface JitPlace {
  readonly memory: GuestMemory;
  /** Memory of the hart's state and TLBs. */
  readonly own: WebAssembly.Memory;
  readonly fused: boolean;
  readonly exchange: CodeExchange | undefined;
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
  readonly #exchange: CodeExchange | undefined;
  /** What modules of compiled code import. */
  readonly #env: WebAssembly.ModuleImports;
  readonly #decoded: DecodedPages | undefined;
  /** Pages that are worth decoding. */
  readonly #warm = new Set<number>();
  readonly #waiting = new Map<number, Hot>();
  /** How often a group at a place was not in one page, since loose code was wanted for it. */
  readonly #across = new Map<number, number>();
  /** Entries of what another thread compiles. */
  readonly #ordered = new Set<number>();
  /** Whether another thread is to compile. */
  #apart: boolean;
  #failures = 0;
  #released = false;
  #busy = 0;
  #patience = PATIENCE;
  #loading: Promise<void> | undefined;
  /** Count of instructions from which on the hart is warm; undefined before the first look. */
  #warmAt: number | undefined;
  #isWarm: boolean;

  constructor({ memory, own, fused, exchange }: JitPlace, options: JitOptions) {
    this.#memory = memory;
    this.#own = own;
    this.#options = options;
    this.#fused = fused;
    this.#exchange = exchange;
    this.#decoded = memory.shared ? undefined : new DecodedPages(memory, options.frames);
    this.heap = new CodeHeap(own, memory.wasm, options.capacity ?? CAPACITY, this.#decoded);
    this.#env = { memory: own, ram: memory.wasm, table: this.heap.table };
    const { threshold, coldThreshold = threshold, apart } = options;
    this.#apart = apart === true && !memory.shared;
    this.#isWarm = coldThreshold === threshold;
    this.#setThreshold();
    memory.onCodeWritten = (page) => this.heap.written(page);
  }

  /**
   * The instruction at `place` of the memory, which is at PC in the address space at hand, was jumped
   * to often; or, where `place` is loose, begins accesses that are not in one page. Whether it is compiled now.
   */
  hot(place: number): boolean {
    if (this.heap.enter(place)) return true;
    if (at.isLoose(place) && !this.#isAcrossOften(place)) return false;
    if (this.#ordered.has(place)) return false;
    if (this.#waiting.has(place)) this.#patience = 0;
    else if (this.#waiting.size >= MOST_WAITING) return false;
    this.#waiting.set(place, { place, map: new PageMap(this.#own, this.#memory, place) });
    if (this.#options.batch > 1) return false;
    this.#compile();
    return this.heap.enter(place);
  }

  #isAcrossOften(place: number): boolean {
    const count = (this.#across.get(place) ?? 0) + 1;
    if (this.#across.size >= MOST_ACROSS) this.#across.clear();
    const often = Math.min(LOOSE_AFTER, this.#options.threshold);
    this.#across.set(place, count % often);
    return count === often;
  }

  /** Puts what is entered like compiled code into the table of functions. */
  connect({ loadCode, decoded }: CodeFunctions): void {
    this.heap.table.set(at.LOADER, loadCode);
    this.heap.table.set(at.DECODED, decoded);
  }

  /** What the interpreter imports, see {@link ../interpreter/helpers.ts}; and the table of functions. */
  imports(): WebAssembly.ModuleImports {
    return {
      hot: (place: number) => (this.hot(place) ? 0 : 1),
      warm: (place: number) => {
        const page = at.pageOf(place);
        if (this.#decoded?.isGivenUp(page) === false) this.#warm.add(page);
      },
      decode: (place: number) => this.#decoded?.decodeFrom(place),
      codeWritten: (page: number) => this.heap.written(page),
      table: this.heap.table,
    };
  }

  #decode(): void {
    if (compiler === undefined) {
      this.#loading ??= loadCompiler().catch(() => {});
      return;
    }
    for (const page of this.#warm) this.heap.decode(page, compiler.decodeFrom);
    this.#warm.clear();
    this.heap.markTlb();
  }

  /**
   * Between slices: compiles what waits, where it is time to.
   *
   * @param executed instructions that the hart has executed, from whatever count on
   */
  poll(executed: number): void {
    if (!this.#isWarm) this.#warmUp(executed);
    if (this.#exchange !== undefined) this.#takeGiven(this.#exchange);
    if (this.#warm.size > 0) this.#decode();
    if (this.#waiting.size === 0) return;
    this.#patience--;
    if (this.#waiting.size >= this.#options.batch || this.#patience < 0) this.#compile();
  }

  /** Milliseconds of a processor that another thread took for it. */
  get busy(): number {
    return this.#busy;
  }

  #warmUp(executed: number): void {
    this.#warmAt ??= executed + WARM;
    if (executed < this.#warmAt) return;
    this.#isWarm = true;
    this.#setThreshold();
  }

  #setThreshold(): void {
    const { threshold, coldThreshold = threshold, warmAfter = WARM_JUMPS } = this.#options;
    const words = new Int32Array(this.#own.buffer);
    const jumps = this.#isWarm ? threshold : coldThreshold;
    words[at.THRESHOLD >> 2] = this.#exchange === undefined ? jumps : Math.ceil(jumps / COUNTING);
    words[at.WARM_MASK >> 2] = (this.#isWarm ? warmAfter : COLD_JUMPS) - 1;
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
    // One order at a time: others of the thread have their turn, and what it took is counted before there is more.
    if (this.#ordered.size > 0) return;
    const places = [...this.#waiting.values()].slice(0, this.#options.batch);
    for (const { place } of places) this.#waiting.delete(place);
    this.#patience = PATIENCE;
    if (compiler === undefined) {
      // What is hot is soon so again. Where nothing can be loaded, all stays with the interpreter.
      this.#loading ??= loadCompiler().catch(() => {});
      return;
    }
    const exchange = this.#exchange;
    const claimed = places.filter(({ place }) => exchange?.claim(place) !== false);
    // What was released before it was claimed here is there to be taken.
    if (exchange !== undefined) this.#takeGiven(exchange);
    const regions = this.#regions(claimed, compiler);
    if (regions.length > 0) this.#compileRegions(regions, compiler);
    for (const { place } of claimed) exchange?.release(place);
  }

  #compileRegions(regions: readonly MappedRegion[], compiler: Compiler): void {
    const service = this.#apart ? compiler.compileService() : undefined;
    const lies = regions.map((region) => lieOf(region, this.#memory.shared));
    if (service !== undefined) {
      const order = { regions: compiler.packRegions(regions), fused: this.#fused };
      void this.#order(lies, service.compile(order));
      return;
    }
    const { shared } = this.#memory;
    try {
      const bytes = compiler.regionsModule(regions, { fused: this.#fused, shared });
      const module = new WebAssembly.Module(bytes);
      this.#add(module, lies.map(this.#admitted));
      this.#exchange?.give({ module, lies });
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#giveUp(lies);
    }
  }

  /** Has another thread compile; what was written meanwhile is dropped. */
  async #order(lies: readonly Lie[], answer: Promise<CompileAnswer>): Promise<void> {
    const orders = lies.map((lie) => {
      for (const place of lie.entries) this.#ordered.add(place);
      return { ...lie, expected: this.heap.expect(lie.pages) };
    });
    this.heap.markTlb();
    let module: WebAssembly.Module | undefined;
    try {
      const { busy, module: made } = await answer;
      this.#busy += busy;
      module = made;
      if (module === undefined) this.#giveUp(orders);
    } catch {
      // What is hot is soon so again.
      this.#apart = ++this.#failures <= MOST_FAILURES;
    }
    this.#ordered.clear();
    const isValid = orders.map(({ expected }) => this.heap.settle(expected));
    if (module === undefined || this.#released) return;
    this.#add(
      module,
      orders.map((lie, at) => (isValid[at] ? lie : undefined)),
    );
  }

  /** @param lies of the module's functions; undefined for those that are not wanted any more */
  #add(module: WebAssembly.Module, lies: readonly (Lie | undefined)[]): void {
    if (lies.every((lie) => lie === undefined)) return;
    const code = new CodeModule(module, this.#env);
    try {
      for (const [number, lie] of lies.entries()) {
        if (lie !== undefined) this.heap.add({ module: code, number, ...lie });
      }
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#giveUp(lies);
    }
    this.heap.markTlb();
  }

  #giveUp(lies: readonly (Lie | undefined)[]): void {
    for (const lie of lies) if (lie !== undefined) this.heap.giveUp(lie.entries[0]!);
  }

  /** Leaves the memory to others. */
  release(): void {
    this.#released = true;
    this.#decoded?.release();
  }

  #isKnown(place: number): boolean {
    return this.heap.has(place) || this.#ordered.has(place);
  }

  /** Enters what other harts compiled, as far as RAM is still what they made it of. */
  #takeGiven(exchange: CodeExchange): void {
    for (let taken = 0; taken < MOST_GIVEN; taken++) {
      const code = exchange.take();
      if (code === undefined) return;
      const wanted = code.lies.map((lie) => (this.#wants(lie) ? this.#admitted(lie) : undefined));
      this.#add(code.module, wanted);
    }
  }

  #wants({ entries }: Lie): boolean {
    return entries.some((place) => !this.#isKnown(place) && !this.heap.isGivenUp(place));
  }

  /** Code as it may be entered: not where its pages have changed since they were read. */
  readonly #admitted = (lie: Lie): Lie | undefined => (this.heap.admit(lie) ? lie : undefined);

  /** Places that another one's region covers become entries of it. */
  #regions(hot: readonly Hot[], { Explorer }: Compiler): MappedRegion[] {
    const found: {
      readonly map: PageMap;
      readonly explorer: InstanceType<typeof Explorer>;
      readonly isLoose: boolean;
    }[] = [];
    for (const { place, map } of hot) {
      if (this.#isKnown(place) || this.heap.isGivenUp(place)) continue;
      const offset = place & 0xffe;
      const isLoose = at.isLoose(place);
      const cover = found.find(
        (each) =>
          !isLoose && !each.isLoose && each.map.place === map.place && each.explorer.covers(offset),
      );
      if (cover !== undefined) {
        cover.explorer.explore([offset]);
        continue;
      }
      const known = (there: number): boolean =>
        !(isLoose && there === offset) && this.#isKnown(map.placeOf(there) ?? 0);
      const explorer = new Explorer(map.read, known, isLoose ? LOOSE_LIMIT : LIMIT);
      explorer.explore([offset]);
      found.push({ map, explorer, isLoose });
    }
    return found
      .map(({ map, explorer, isLoose }) => ({
        ...explorer.region(),
        isLoose,
        places: map.places,
        map,
      }))
      .filter(({ entries }) => entries.length > 0);
  }
}

/** The host's compiler does not take it, or has no room. */
const isRefusal = (error: unknown): boolean =>
  error instanceof WebAssembly.CompileError || error instanceof RangeError;
