import { compileKernel } from '../wasm/index.ts';
import { fillKernel } from './fill-kernel.ts';
import { finderKernel } from './finder-kernel.ts';
import { memoryConstants, tables, treesStart } from './memory.ts';
import { parseKernel } from './parse-kernel.ts';
import { priceKernel } from './price-kernel.ts';
import { rangeKernel } from './range-kernel.ts';

/** Levels of {@link microLzmaFiller}, in the manner of xz. */
export const LZMA_LEVEL_MAX = 9;
/** To be added to a level for its extreme variant, which searches longest: the number is that of mkfs.erofs. */
export const LZMA_EXTREME = 100;
/** Bytes beyond the ends of source and target that a filler may read, or write. */
export const LZMA_SLACK = 64;
const PAGE = 65536;
const RESULT = 16;

/** What models of literals and of positions go by. Source: Igor Pavlov's LZMA specification: lc, lp and pb. */
export interface LzmaBits {
  /** Bits of the byte before that a literal is foreseen by: 0 to 4, with those of `literalPosition`. */
  readonly literalContext: number;
  /** Bits of its place that a literal is foreseen by: 0 to 4, with those of `literalContext`. */
  readonly literalPosition: number;
  /** Bits of their place that all else is foreseen by: 0 to 4. */
  readonly position: number;
}

/** What xz and mkfs.erofs use unless told: for text as well as for programs. */
export const usualLzmaBits: LzmaBits = { literalContext: 3, literalPosition: 0, position: 2 };

export interface LzmaSettings {
  /** 0 to 9, or with {@link LZMA_EXTREME} added. */
  readonly level: number;
  /** Bytes that matches reach back at most. From 4096; the next lower power of two is used. */
  readonly windowSize: number;
  /** {@link usualLzmaBits} unless told. */
  readonly bits?: LzmaBits;
}

/** Nice length and depth of search for each level. */
const efforts: readonly (readonly [nice: number, depth: number])[] = [
  [24, 4],
  [24, 8],
  [32, 10],
  [32, 16],
  [40, 24],
  [48, 36],
  [64, 48],
  [96, 64],
  [160, 128],
  [273, 256],
];

const extreme = [273, 512] as const;

/**
 * Makes MicroLZMA streams that fill a given room: as much input as fits goes in. Streams are
 * independent of each other. See `decodeMicroLzma` for what they are.
 */
export interface LzmaFiller {
  /** Readies its part of the memory: to be called first, and where others have used that since. */
  begin(): void;
  /**
   * Encodes bytes of the memory from `start` on, before `end`, into at most `room` bytes from `target`
   * on. Room is 64 bytes at least.
   */
  fill(
    start: number,
    end: number,
    target: number,
    room: number,
  ): { readonly consumed: number; readonly produced: number };
}

const windowBitsOf = ({ windowSize }: LzmaSettings) => Math.floor(Math.log2(windowSize));

/** The first bytes of a filler's memory, which are its own. A multiple of 64 KiB. */
export function lzmaScratchSize(settings: LzmaSettings): number {
  const windowBits = windowBitsOf(settings);
  return Math.ceil((treesStart(windowBits) + 8 * 2 ** windowBits) / PAGE) * PAGE;
}

/**
 * A compressor for MicroLZMA streams of fixed output size. It works in a memory that the caller gives,
 * above the first {@link lzmaScratchSize} bytes, where sources and targets have {@link LZMA_SLACK} bytes
 * behind them. One caller at a time.
 */
export function microLzmaFiller(settings: LzmaSettings, memory: WebAssembly.Memory): LzmaFiller {
  const windowBits = windowBitsOf(settings);
  const { level } = settings;
  const [nice, depth] = level >= LZMA_EXTREME ? extreme : efforts[level]!;
  const { literalContext, literalPosition, position } = settings.bits ?? usualLzmaBits;
  // What streams begin with: the inverted properties, in place of a 0.
  const firstByte = ~((position * 5 + literalPosition) * 9 + literalContext) & 0xff;
  const kernel = [
    memoryConstants,
    rangeKernel(literalContext + literalPosition),
    priceKernel({ literalContext, literalPosition, positionBits: position }),
    finderKernel(windowBits),
    parseKernel({ positionBits: position, nice, depth }),
    fillKernel(nice, windowBits),
  ].join('\n');
  const { buffer } = memory;
  const module = new WebAssembly.Module(
    compileKernel(kernel, { shared: !(buffer instanceof ArrayBuffer) }),
  );
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const fill = exports['fill'] as (s: number, e: number, t: number, room: number) => number;
  const bytes = new Uint8Array(buffer);
  const prices = bitPrices();
  return {
    begin: () => new Uint16Array(buffer, tables.BIT_PRICES, prices.length).set(prices),
    fill(start, end, target, room) {
      const produced = fill(start, end, target, room);
      bytes[target] = firstByte;
      return { consumed: new Int32Array(buffer)[RESULT / 4]!, produced };
    },
  };
}

/** What a bit costs whose probability is in 2048ths, by sixteen of them, in sixteenths of a bit. */
function bitPrices(): Uint16Array {
  return Uint16Array.from({ length: 128 }, (_, index) =>
    Math.round(-16 * Math.log2((index * 16 + 8) / 2048)),
  );
}
