import { AnoleError } from '../errors.ts';
import { compileKernel } from '../wasm/index.ts';
import { inflateKernel } from './kernel.ts';
import {
  damages,
  INPUT_SLACK,
  MEMORY_START,
  MODE,
  OUTPUT_SLACK,
  STATE,
  STATUS,
  writeStaticTables,
} from './layout.ts';

/** Bytes that a match reaches back at most. Source: RFC 1951, 2. */
export const INFLATE_WINDOW: number = 32 * 1024;

/** Input taken into the kernel's memory at once, and output made there before it moves on. */
const INPUT_SIZE = 64 * 1024;
const OUTPUT_SIZE = 256 * 1024;
/** A byte of its own before the input: the one of whose bits some are unused. */
const INPUT = MEMORY_START + 16;
const OUTPUT = INPUT + INPUT_SIZE + INPUT_SLACK;
const OUTPUT_END = OUTPUT + INFLATE_WINDOW + OUTPUT_SIZE;
const PAGES = Math.ceil((OUTPUT_END + OUTPUT_SLACK) / 65536);

/** Where decoding can begin: a bit of the input, and what was there before. */
export interface InflateStart {
  /** Of the byte before the input the bits that are unused, as a number, and how many: 0 to 7. */
  readonly hold: number;
  readonly bits: number;
  /** Up to 32 KiB of output that came before. */
  readonly window: Uint8Array;
}

type Run = (inEnd: number, outEnd: number, history: number, stop: number) => number;

let compiled: WebAssembly.Module | undefined;

/**
 * A raw DEFLATE stream, decoded as it comes, from any boundary between two of its blocks on. Runs in
 * WebAssembly, with memory of its own of some 450 KiB: use one again by `start`.
 *
 * @example
 * const inflater = new InflateStream();
 * inflater.write(input);
 * for (let piece = inflater.read(); piece.length > 0; piece = inflater.read()) out.push(piece.slice());
 */
export class InflateStream {
  /** Bytes given out since the start. */
  produced = 0;
  /** Whether the last block has ended; what is left of the input comes after it. */
  ended = false;
  /** Whether it stands between two blocks because of `stopAt`. */
  atBoundary = false;
  /** `read` leaves off at the first boundary between blocks where `produced` is so much or more. */
  stopAt: number = Number.POSITIVE_INFINITY;
  private readonly bytes: Uint8Array;
  private readonly words: Int32Array;
  private readonly run: Run;
  private waiting: Uint8Array = new Uint8Array(0);
  private inEnd = INPUT;
  /** Where the output that can be referred to begins. */
  private history = OUTPUT + INFLATE_WINDOW;

  constructor() {
    compiled ??= new WebAssembly.Module(compileKernel(inflateKernel));
    const memory = new WebAssembly.Memory({ initial: PAGES });
    writeStaticTables(memory);
    const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
    this.run = exports['run'] as Run;
    this.bytes = new Uint8Array(memory.buffer);
    this.words = new Int32Array(memory.buffer);
    this.start();
  }

  /** Begins anew, input and all. */
  start(from?: InflateStart): void {
    this.waiting = new Uint8Array(0);
    this.inEnd = INPUT;
    this.set(STATE.at, INPUT);
    this.set(STATE.to, OUTPUT + INFLATE_WINDOW);
    this.history = OUTPUT + INFLATE_WINDOW - (from?.window.length ?? 0);
    this.produced = 0;
    this.stopAt = Number.POSITIVE_INFINITY;
    if (from) this.bytes.set(from.window, this.history);
    this.begin(from?.hold ?? 0, from?.bits ?? 0);
  }

  /** Begins another stream at what is left of the input. Its matches reach back to here only. */
  restart(): void {
    this.history = this.get(STATE.to);
    this.begin(0, 0);
  }

  /** Gives it the next bytes of the input. They are not copied: `read` to the end before they change. */
  write(input: Uint8Array): void {
    if (this.waiting.length > 0) {
      const joined = new Uint8Array(this.waiting.length + input.length);
      joined.set(this.waiting);
      joined.set(input, this.waiting.length);
      this.waiting = joined;
    } else this.waiting = input;
  }

  /**
   * The next bytes of the output, as they lie in this decoder's memory: valid until the next call. None
   * where it has ended, needs more input, or has reached `stopAt`.
   *
   * @throws AnoleError `DEFLATE_DAMAGED`
   */
  read(): Uint8Array {
    this.atBoundary = false;
    for (;;) {
      this.fill();
      if (this.get(STATE.to) >= OUTPUT_END) this.slide();
      const from = this.get(STATE.to);
      const stop = Math.min(from + Math.max(0, this.stopAt - this.produced), 0x7fff_ffff);
      const status = this.run(this.inEnd, OUTPUT_END, this.history, stop);
      if (status >= STATUS.damaged) throw damaged(damages[status - STATUS.damaged]!);
      const to = this.get(STATE.to);
      this.produced += to - from;
      this.ended = status === STATUS.ended;
      this.atBoundary = status === STATUS.boundary;
      const wantsMore = status === STATUS.input && this.waiting.length > 0;
      if (to > from || !wantsMore) return this.bytes.subarray(from, to);
    }
  }

  /** Bytes of the input that are not used: all of what follows the last block, once it has ended. */
  get unused(): number {
    return this.inEnd - this.get(STATE.at) + this.waiting.length;
  }

  /** Takes bytes that follow the last block out of the input: as many as there are, up to `count`. */
  take(count: number): Uint8Array {
    this.fill();
    const at = this.get(STATE.at);
    const end = Math.min(at + count, this.inEnd);
    this.set(STATE.at, end);
    return this.bytes.slice(at, end);
  }

  /** Where it stands, at a boundary between blocks: for `start`. The window is a copy. */
  position(): InflateStart {
    const to = this.get(STATE.to);
    const window = this.bytes.slice(Math.max(this.history, to - INFLATE_WINDOW), to);
    return { hold: this.get(STATE.hold), bits: this.get(STATE.bits), window };
  }

  private begin(hold: number, bits: number): void {
    this.ended = false;
    this.atBoundary = false;
    this.set(STATE.hold, hold);
    this.set(STATE.bits, bits);
    this.set(STATE.mode, MODE.header);
    // Its head is read together with the byte before, of which these bits are left.
    this.bytes[this.get(STATE.at) - 1] = hold << (8 - bits);
  }

  /** Moves what is left of the input to the front, and more behind it. */
  private fill(): void {
    const at = this.get(STATE.at);
    const left = this.inEnd - at;
    if (this.waiting.length === 0 || left >= INPUT_SIZE / 2) return;
    this.bytes.copyWithin(INPUT - 1, at - 1, this.inEnd);
    const count = Math.min(this.waiting.length, INPUT_SIZE - left);
    this.bytes.set(this.waiting.subarray(0, count), INPUT + left);
    this.waiting = this.waiting.subarray(count);
    this.inEnd = INPUT + left + count;
    this.set(STATE.at, INPUT);
  }

  /** Moves the window to the front. */
  private slide(): void {
    const to = this.get(STATE.to);
    const moved = to - (OUTPUT + INFLATE_WINDOW);
    this.bytes.copyWithin(OUTPUT, to - INFLATE_WINDOW, to);
    this.set(STATE.to, OUTPUT + INFLATE_WINDOW);
    this.history = Math.max(OUTPUT, this.history - moved);
  }

  private get(at: number): number {
    return this.words[at / 4]!;
  }

  private set(at: number, value: number): void {
    this.words[at / 4] = value;
  }
}

export function damaged(
  reason: string,
  details: Readonly<Record<string, unknown>> = {},
): AnoleError {
  return new AnoleError('DEFLATE_DAMAGED', `Cannot decode the DEFLATE stream: ${reason}`, {
    details,
  });
}
