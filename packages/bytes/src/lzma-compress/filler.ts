import { compileKernel } from '../wasm/index.ts';
import { fillKernel } from './fill-kernel.ts';
import { finderKernel } from './finder-kernel.ts';
import { memoryConstants, tables, treesStart } from './memory.ts';
import { parseKernel } from './parse-kernel.ts';
import { priceKernel } from './price-kernel.ts';
import { rangeKernel } from './range-kernel.ts';

/** Levels of {@link microLzmaFiller}, in the manner of xz. */
export const LZMA_LEVEL_MAX = 9;
/** Bytes beyond the ends of source and target that a filler may read, or write. */
export const LZMA_SLACK = 64;
const PAGE = 65536;
const RESULT = 16;
const LITERAL_BITS = 3;
const POSITION_BITS = 2;
/** What streams begin with: the inverted properties, in place of a 0. */
const FIRST_BYTE = ~(POSITION_BITS * 45 + LITERAL_BITS) & 0xff;

export interface LzmaSettings {
  /** 0 to 9. */
  readonly level: number;
  /** Bytes that matches reach back at most. From 4096; the next lower power of two is used. */
  readonly windowSize: number;
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
  const [nice, depth] = efforts[settings.level]!;
  const kernel = [
    memoryConstants,
    rangeKernel(LITERAL_BITS),
    priceKernel({ literalBits: LITERAL_BITS, positionBits: POSITION_BITS }),
    finderKernel(windowBits),
    parseKernel({ positionBits: POSITION_BITS, nice, depth }),
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
      bytes[target] = FIRST_BYTE;
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
