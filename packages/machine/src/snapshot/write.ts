import { crc32c } from '@anole/bytes';
import { GUEST_PAGE } from '../hart/guest-memory.ts';
import type { Board } from '../platform/board.ts';
import { devicesToJson, type MachineShape, shapeOf } from './board-state.ts';
import { savedHarts } from './hart-state.ts';
import * as L from './layout.ts';

/** Takes the bytes of a file, in order. `chunk` may be the guest's memory: it is valid for the call. */
export type SnapshotSink = (chunk: Uint8Array) => void;

export interface SnapshotOptions {
  /** 32 bytes that stand for what the machine was made of. Default: zeros. */
  readonly identity?: Uint8Array;
  /** The owner's own bytes, up to 16 MiB: states of what is behind the devices. */
  readonly host?: Uint8Array;
}

const encoder = new TextEncoder();

/** Writes a machine that stands still as a file. The order of bytes is that of the file. */
export function writeSnapshot(
  board: Board,
  clock: MachineShape['clock'],
  sink: SnapshotSink,
  options: SnapshotOptions = {},
): void {
  const pages = contentPages(board);
  const numbers = Uint32Array.from(pages);
  const sums = Uint32Array.from(pages, (page) => crc32c(pageOf(board, page)));
  const machine = { ...shapeOf(board, clock), ticks: Number(board.hart.time) };
  const sections: [number, Uint8Array][] = [
    [L.Section.machine, encoder.encode(JSON.stringify(machine))],
    [L.Section.hart, savedHarts(board)],
    [L.Section.devices, encoder.encode(JSON.stringify(devicesToJson(board)))],
    [L.Section.host, options.host ?? new Uint8Array(0)],
    [L.Section.pageNumbers, littleEndian(numbers)],
    [L.Section.pageSums, littleEndian(sums)],
  ];
  const head = headOf(sections, pages.length, options.identity);
  sink(head.bytes);
  for (const [, bytes] of sections) sink(bytes);
  sink(new Uint8Array(head.padding));
  for (const page of pages) sink(pageOf(board, page));
}

/** Pages that are not all zero. */
function contentPages(board: Board): number[] {
  const { memory } = board;
  const pages: number[] = [];
  for (let page = 0; page < memory.size / GUEST_PAGE; page++) {
    // Without a filler, what was not touched is zero.
    if (!memory.isTouched(page) && !memory.backed) continue;
    if (!isZero(pageOf(board, page))) pages.push(page);
  }
  return pages;
}

function pageOf({ memory }: Board, page: number): Uint8Array {
  return memory.readable(memory.base + page * GUEST_PAGE, GUEST_PAGE);
}

function isZero(page: Uint8Array): boolean {
  const words = new BigUint64Array(page.buffer, page.byteOffset, GUEST_PAGE / 8);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0n) return false;
  return true;
}

function littleEndian(numbers: Uint32Array): Uint8Array {
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
