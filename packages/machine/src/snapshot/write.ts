import { crc32c } from '@anole/bytes';
import { GUEST_PAGE } from '../hart/guest-memory.ts';
import type { Board } from '../platform/board.ts';
import { devicesToJson, type MachineShape, shapeOf } from './board-state.ts';
import { type MachineFork, openFork } from './fork.ts';
import { savedHarts } from './hart-state.ts';
import * as L from './layout.ts';
import type { Snapshot } from './read.ts';

/** Takes the bytes of a file, in order. `chunk` may be the guest's memory: it is valid for the call. */
export type SnapshotSink = (chunk: Uint8Array) => void;

export interface SnapshotOptions {
  /** 32 bytes that stand for what the machine was made of. Default: zeros. */
  readonly identity?: Uint8Array;
  /** The owner's own bytes, up to 16 MiB: states of what is behind the devices. */
  readonly host?: Uint8Array;
}

const encoder = new TextEncoder();
const nothing = new Uint8Array(0);
/** Pages that are looked at without a pause: a millisecond. */
const PAGES_AT_ONCE = 256;

/** Writes a machine that stands still as a file. The order of bytes is that of the file. */
export function writeSnapshot(
  board: Board,
  clock: MachineShape['clock'],
  sink: SnapshotSink,
  options: SnapshotOptions = {},
): void {
  const saved = {
    shape: shapeOf(board, clock),
    ticks: Number(board.hart.time),
    hart: savedHarts(board),
    devices: devicesToJson(board),
  };
  const { memory } = board;
  const pageOf = (page: number) => memory.readable(memory.base + page * GUEST_PAGE, GUEST_PAGE);
  // Without a filler, what was not touched is zero.
  const mayHave = (page: number) => memory.isTouched(page) || memory.backed;
  for (const piece of pieces(saved, { pageOf, mayHave }, options)) sink(piece);
}

/**
 * The file of a fork, piece by piece, each valid until the next one is asked for; some are empty, so
 * that whoever writes them can do something else in between. With what it stands on within: the file
 * stands alone.
 *
 * @param base what the fork stands on, as for {@link openFork}
 * @throws MachineError `MACHINE_SNAPSHOT_FOREIGN` as {@link openFork}, `MACHINE_SNAPSHOT_DAMAGED` where
 *   a page of the base is
 */
export function forkPieces(
  fork: MachineFork,
  base: Snapshot | undefined,
  options: SnapshotOptions = {},
): Generator<Uint8Array> {
  const { fill } = openFork(fork, base);
  const page = new Uint8Array(GUEST_PAGE);
  const pageOf = (number: number) => {
    page.fill(0);
    fill(number, page);
    return page;
  };
  return pieces(fork, { pageOf, mayHave: () => true }, options);
}

/** What a file has beside pages. */
type Saved = Pick<MachineFork, 'shape' | 'ticks' | 'hart' | 'devices'>;

interface Pages {
  /** Valid until the next call. */
  readonly pageOf: (page: number) => Uint8Array;
  /** False for those that are surely zero. */
  readonly mayHave: (page: number) => boolean;
}

function* pieces(
  { shape, ticks, hart, devices }: Saved,
  { pageOf, mayHave }: Pages,
  { host = nothing, identity }: SnapshotOptions,
): Generator<Uint8Array> {
  const pages: number[] = [];
  const sums: number[] = [];
  for (let page = 0; page < shape.memorySize / GUEST_PAGE; page++) {
    if (page % PAGES_AT_ONCE === 0) yield nothing;
    if (!mayHave(page)) continue;
    const bytes = pageOf(page);
    if (isZero(bytes)) continue;
    pages.push(page);
    sums.push(crc32c(bytes));
  }
  const sections: [number, Uint8Array][] = [
    [L.Section.machine, encoder.encode(JSON.stringify({ ...shape, ticks }))],
    [L.Section.hart, hart],
    [L.Section.devices, encoder.encode(JSON.stringify(devices))],
    [L.Section.host, host],
    [L.Section.pageNumbers, littleEndian(pages)],
    [L.Section.pageSums, littleEndian(sums)],
  ];
  const head = headOf(sections, pages.length, identity);
  yield head.bytes;
  for (const [, bytes] of sections) yield bytes;
  yield new Uint8Array(head.padding);
  for (const page of pages) yield pageOf(page);
}

function isZero(page: Uint8Array): boolean {
  const words = new BigUint64Array(page.buffer, page.byteOffset, GUEST_PAGE / 8);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0n) return false;
  return true;
}

function littleEndian(numbers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(numbers.length * 4);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < numbers.length; i++) view.setUint32(4 * i, numbers[i]!, true);
  return bytes;
}

function headOf(
  sections: readonly (readonly [number, Uint8Array])[],
  pages: number,
  identity: Uint8Array | undefined,
): { readonly bytes: Uint8Array; readonly padding: number } {
  const bytes = new Uint8Array(L.HEADER.end + L.SECTION_COUNT * L.ENTRY.end);
  const view = new DataView(bytes.buffer);
  let offset = bytes.length;
  let at: number = L.HEADER.end;
  const enter = (kind: number, sum: number, length: number) => {
    view.setUint32(at + L.ENTRY.kind, kind, true);
    view.setUint32(at + L.ENTRY.sum, sum, true);
    view.setBigUint64(at + L.ENTRY.offset, BigInt(offset), true);
    view.setBigUint64(at + L.ENTRY.length, BigInt(length), true);
    at += L.ENTRY.end;
    offset += length;
  };
  for (const [kind, content] of sections) enter(kind, crc32c(content), content.length);
  const padding = -offset & (GUEST_PAGE - 1);
  offset += padding;
  enter(L.Section.pages, 0, pages * GUEST_PAGE);
  bytes.set(encoder.encode(L.MAGIC), L.HEADER.magic);
  view.setUint32(L.HEADER.version, L.SNAPSHOT_VERSION, true);
  view.setUint32(L.HEADER.sections, L.SECTION_COUNT, true);
  view.setBigUint64(L.HEADER.size, BigInt(offset), true);
  if (identity) bytes.set(identity.subarray(0, L.IDENTITY_SIZE), L.HEADER.identity);
  view.setUint32(L.HEADER.sum, crc32c(bytes), true);
  return { bytes, padding };
}
