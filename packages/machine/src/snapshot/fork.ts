import { GUEST_PAGE } from '../hart/guest-memory.ts';
import type { SharedCode } from '../hart/jit/shared-code.ts';
import type { Board } from '../platform/board.ts';
import { devicesToJson, type MachineShape, shapeOf } from './board-state.ts';
import { damaged, foreign } from './errors.ts';
import { savedHarts } from './hart-state.ts';
import { IDENTITY_SIZE } from './layout.ts';
import type { Snapshot } from './read.ts';
import type { Json } from './state.ts';

/** Pages of RAM that machines of any thread may read: they never change. */
export interface PageLayer {
  /** Rising; RAM's first page is 0. */
  readonly numbers: Uint32Array;
  /** 4096 bytes for each of them. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
}

/**
 * A machine as it was at one moment, in memory that threads share: it may be posted to one, as often
 * as wanted, and opened there. Nothing of it changes. Its memory is free when nobody has it any more.
 */
export interface MachineFork {
  readonly shape: MachineShape;
  readonly ticks: number;
  readonly hart: Uint8Array;
  readonly devices: Json;
  /** Sum of the snapshot on whose pages it stands; undefined where its machine was booted. */
  readonly base: number | undefined;
  /** The last ones count. */
  readonly layers: readonly PageLayer[];
  /** What its hart has compiled; absent where several harts share RAM, or nobody wants it. */
  readonly code?: SharedCode;
}

/** What a machine stands on, and what it shares with its forks. */
export interface Ground {
  readonly base: number | undefined;
  readonly layers: readonly PageLayer[];
}

/** Takes a machine that stands still. Only what was written since the last time is copied. */
export function forkBoard(
  board: Board,
  clock: MachineShape['clock'],
  ground: Ground,
  withCode = true,
): MachineFork {
  const { memory, hart } = board;
  const pages = memory.takeWritten();
  const written = layerOf(pages, (at) =>
    memory.readable(memory.base + pages[at]! * GUEST_PAGE, GUEST_PAGE),
  );
  // Their entries stand for pages that are noted as written.
  hart.flushTlb();
  board.crew?.flushTlbs(hart);
  const layers =
    written.numbers.length === 0 ? ground.layers : settled([...ground.layers, written]);
  const code = withCode ? hart.shareCode() : undefined;
  return {
    shape: shapeOf(board, clock),
    ...(code && { code }),
    ticks: Number(hart.time),
    hart: savedHarts(board),
    devices: devicesToJson(board),
    base: ground.base,
    layers,
  };
}

/**
 * Makes a snapshot of a fork, to restore a machine from.
 *
 * @param base the snapshot that the forked machine, or the first one of those it descends from, was
 *   restored from; undefined where that one was booted
 * @throws MachineError `MACHINE_SNAPSHOT_FOREIGN` where `base` is not what the fork stands on
 */
export function openFork(fork: MachineFork, base: Snapshot | undefined): Snapshot {
  const { shape, ticks, hart, devices, layers, code } = fork;
  if (fork.base !== base?.sum) throw foreign('it stands on another one than is there');
  if (base !== undefined && base.shape.memorySize !== shape.memorySize) {
    throw foreign('its base is of another machine');
  }
  const pages = shape.memorySize / GUEST_PAGE;
  const found = newestPages(layers, pages);
  return {
    sum: base?.sum,
    identity: new Uint8Array(IDENTITY_SIZE),
    layers,
    ...(code && { code }),
    shape,
    ticks,
    hart,
    devices,
    host: new Uint8Array(0),
    contentSize: layers.reduce((sum, { bytes }) => sum + bytes.length, base?.contentSize ?? 0),
    fill(page, target) {
      const place = found[page]!;
      if (place === 0) base?.fill(page, target);
      else target.set(pageAt(layers[(place >>> PLACE_BITS) - 1]!, place & PLACE_MASK));
    },
  };
}

/** @param read content of a page by its index in `pages` */
function layerOf(pages: readonly number[], read: (at: number) => Uint8Array): PageLayer {
  const numbers = new Uint32Array(new SharedArrayBuffer(4 * pages.length));
  const bytes = new Uint8Array(new SharedArrayBuffer(GUEST_PAGE * pages.length));
  numbers.set(pages);
  for (let at = 0; at < pages.length; at++) bytes.set(read(at), at * GUEST_PAGE);
  return { numbers, bytes };
}

/**
 * Layers each of which is more than twice as large as the next one: they are few, and a page is copied a
 * few times at the most, however many forks are made of one machine.
 */
function settled(layers: readonly PageLayer[]): readonly PageLayer[] {
  const settled: PageLayer[] = [...layers];
  for (;;) {
    const [older, newer] = settled.slice(-2);
    if (!older || !newer || older.numbers.length > 2 * newer.numbers.length) return settled;
    settled.splice(-2, 2, merge(older, newer));
  }
}

/** One layer of two. Takes as long as they are, not as RAM is. */
function merge(older: PageLayer, newer: PageLayer): PageLayer {
  const found = new Map<number, Uint8Array>();
  for (const layer of [older, newer]) {
    for (let at = 0; at < layer.numbers.length; at++) {
      found.set(layer.numbers[at]!, pageAt(layer, at));
    }
  }
  const pages = [...found.keys()].sort((a, b) => a - b);
  return layerOf(pages, (at) => found.get(pages[at]!)!);
}

/** Places are numbers: the layer in the upper bits, counted from 1, and where in it in the lower ones. */
const PLACE_BITS = 20;
const PLACE_MASK = 2 ** PLACE_BITS - 1;

/** For each page where its newest content is; 0 where no layer has it. */
function newestPages(layers: readonly PageLayer[], pages: number): Uint32Array {
  const found = new Uint32Array(pages);
  for (const [layer, { numbers }] of layers.entries()) {
    const first = (layer + 1) << PLACE_BITS;
    for (let at = 0; at < numbers.length; at++) {
      const page = numbers[at]!;
      if (page >= pages) throw damaged('bad page numbers');
      found[page] = first + at;
    }
  }
  return found;
}

function pageAt({ bytes }: PageLayer, at: number): Uint8Array {
  return bytes.subarray(at * GUEST_PAGE, (at + 1) * GUEST_PAGE);
}
