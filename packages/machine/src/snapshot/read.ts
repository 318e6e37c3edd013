import { crc32c, isPromise, type Source } from '@anole/bytes';
import { MachineError } from '../errors.ts';
import { GUEST_PAGE, type PageFiller } from '../hart/guest-memory.ts';
import type { SharedCode } from '../hart/jit/shared-code.ts';
import { MAX_HARTS } from '../harts/layout.ts';
import type { MachineShape } from './board-state.ts';
import { damaged, foreign } from './errors.ts';
import type { PageLayer } from './fork.ts';
import * as L from './layout.ts';
import type { Json } from './state.ts';

/** A snapshot, opened: all but its pages is read and checked; they are when the guest touches them. */
export interface Snapshot {
  /**
   * Stands for all that is in the file, as its header has it. Of a fork: of the file that it stands on,
   * undefined where that is none.
   */
  readonly sum: number | undefined;
  /** 32 bytes that stand for what the machine was made of, as its owner had it. Of a fork: zeros. */
  readonly identity: Uint8Array;
  /** Of a fork: pages over those of the file. The last ones count. */
  readonly layers?: readonly PageLayer[];
  /** Of a fork: compiled code of its pages. */
  readonly code?: SharedCode;
  readonly shape: MachineShape;
  /** `time` of the hart when it was saved. */
  readonly ticks: number;
  readonly hart: Uint8Array;
  readonly devices: Json;
  /** The owner's own bytes. */
  readonly host: Uint8Array;
  /** Bytes of RAM that are in the file. */
  readonly contentSize: number;
  /** @throws MachineError `MACHINE_SNAPSHOT_DAMAGED` for a page whose bytes are not those saved */
  readonly fill: PageFiller;
}

interface Section {
  readonly sum: number;
  readonly offset: number;
  readonly length: number;
}

/** More RAM than a machine can have. */
const MAX_PAGES = 0x10_0000;
const MAX_TICKS = 2 ** 52;

/**
 * Opens a snapshot. The source must answer at once, and stay open as long as the machine runs: pages
 * are read from it at their first touch.
 *
 * @param identity what the owner expects; not looked at where absent
 * @throws MachineError `MACHINE_SNAPSHOT_DAMAGED`, `MACHINE_SNAPSHOT_FOREIGN`,
 *   `MACHINE_SNAPSHOT_VERSION`; what the source throws
 */
export function openSnapshot(source: Source, identity?: Uint8Array): Snapshot {
  const { sections, sum, own } = readHead(source, identity);
  checkPadding(source, sections);
  const section = (kind: number, limit: number) => readSection(source, sections, kind, limit);
  const { ticks, ...shape } = parseMachine(section(L.Section.machine, L.MAX_TEXT));
  const hart = section(L.Section.hart, L.MAX_TEXT);
  const devices = parseJson(section(L.Section.devices, L.MAX_TEXT));
  const host = section(L.Section.host, L.MAX_HOST);
  const pages = shape.memorySize / GUEST_PAGE;
  const numbers = wordsOf(section(L.Section.pageNumbers, 4 * pages));
  const sums = wordsOf(section(L.Section.pageSums, 4 * pages));
  const content = sections.get(L.Section.pages)!;
  if (numbers.length !== sums.length || content.length !== numbers.length * GUEST_PAGE) {
    throw damaged('its tables of pages do not agree');
  }
  const fill = filler(source, content.offset, placesOf(numbers, pages), sums);
  return {
    sum,
    identity: own,
    shape,
    ticks,
    hart,
    devices,
    host,
    contentSize: content.length,
    fill,
  };
}

function readHead(source: Source, identity: Uint8Array | undefined) {
  const size = L.HEADER.end + L.SECTION_COUNT * L.ENTRY.end;
  const magic = source.size < L.HEADER.end ? '' : text(read(source, 0, L.MAGIC.length));
  if (magic !== L.MAGIC) throw foreign('the file is none');
  if (source.size < size) throw damaged('it ends within its header');
  // A copy by constructor: a Buffer's own `slice` would alias.
  const head = new Uint8Array(read(source, 0, size));
  const view = new DataView(head.buffer);
  const version = view.getUint32(L.HEADER.version, true);
  if (version !== L.SNAPSHOT_VERSION) {
    throw new MachineError(
      'MACHINE_SNAPSHOT_VERSION',
      `Cannot restore the snapshot: it is of version ${version}, not ${L.SNAPSHOT_VERSION}`,
      { details: { version }, hint: 'make it again with this version' },
    );
  }
  const sum = view.getUint32(L.HEADER.sum, true);
  view.setUint32(L.HEADER.sum, 0, true);
  if (crc32c(head) !== sum) throw damaged('its header is not what was written');
  if (view.getBigUint64(L.HEADER.size, true) !== BigInt(source.size)) {
    throw damaged(`it has ${source.size} bytes`);
  }
  if (view.getUint32(L.HEADER.sections, true) !== L.SECTION_COUNT) throw damaged('bad sections');
  const own = head.subarray(L.HEADER.identity, L.HEADER.identity + L.IDENTITY_SIZE);
  if (identity?.some((byte, i) => byte !== own[i])) throw foreign('it is of another machine');
  return { sections: readTable(view, source.size), sum, own };
}

/** Between the sections nothing lies but what aligns the pages. */
function checkPadding(source: Source, sections: ReadonlyMap<number, Section>): void {
  const { offset: end } = sections.get(L.Section.pages)!;
  const { offset, length } = sections.get(L.Section.pageSums)!;
  const padding = end - offset - length;
  const isRight = padding >= 0 && padding < GUEST_PAGE;
  if (isRight && read(source, end - padding, padding).every((byte) => byte === 0)) return;
  throw damaged('its sections do not lie one behind the other');
}

function readTable(view: DataView, size: number): Map<number, Section> {
  const sections = new Map<number, Section>();
  for (let at: number = L.HEADER.end; at < view.byteLength; at += L.ENTRY.end) {
    const section = {
      sum: view.getUint32(at + L.ENTRY.sum, true),
      offset: Number(view.getBigUint64(at + L.ENTRY.offset, true)),
      length: Number(view.getBigUint64(at + L.ENTRY.length, true)),
    };
    if (section.offset + section.length > size) throw damaged('a section lies behind its end');
    sections.set(view.getUint32(at + L.ENTRY.kind, true), section);
  }
  if (Object.values(L.Section).some((kind) => !sections.has(kind))) throw damaged('bad sections');
  return sections;
}

function readSection(
  source: Source,
  sections: ReadonlyMap<number, Section>,
  kind: number,
  limit: number,
): Uint8Array {
  const { offset, length, sum } = sections.get(kind)!;
  if (length > limit) throw damaged(`section ${kind} has ${length} bytes`);
  const bytes = new Uint8Array(read(source, offset, length));
  if (crc32c(bytes) !== sum) throw damaged(`section ${kind} is not what was written`);
  return bytes;
}

function read(source: Source, offset: number, length: number): Uint8Array {
  const bytes = source.read(offset, length);
  if (!isPromise(bytes)) return bytes;
  bytes.catch(() => {});
  throw new MachineError(
    'MACHINE_BAD_OPTION',
    'Cannot restore from a source that does not answer at once',
    { hint: 'read it into memory first' },
  );
}

function parseMachine(bytes: Uint8Array): MachineShape & { readonly ticks: number } {
  const machine = parseJson(bytes) as Partial<MachineShape & { ticks: number }> | null;
  const { memorySize = 0, clock, cpus = 1, devices, ticks = -1 } = machine ?? {};
  const valid =
    Number.isInteger(memorySize) &&
    memorySize > 0 &&
    memorySize % 0x1_0000 === 0 &&
    memorySize <= MAX_PAGES * GUEST_PAGE &&
    (clock === 'real' || clock === 'instructions') &&
    Number.isInteger(cpus) &&
    cpus >= 1 &&
    cpus <= (clock === 'real' ? MAX_HARTS : 1) &&
    Array.isArray(devices) &&
    Number.isInteger(ticks) &&
    ticks >= 0 &&
    ticks <= MAX_TICKS;
  if (!valid) throw damaged('its description of the machine makes no sense');
  return { memorySize, clock, ...(cpus > 1 && { cpus }), devices, ticks };
}

function parseJson(bytes: Uint8Array): Json {
  try {
    return JSON.parse(text(bytes)) as Json;
  } catch (cause) {
    throw damaged('a section is no JSON', cause);
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Of bytes that nobody else has. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
}

/** For each page of RAM its place in the file, counted from 1; 0 where it is zero. */
function placesOf(numbers: Uint32Array, pages: number): Uint32Array {
  const places = new Uint32Array(pages);
  for (let at = 0; at < numbers.length; at++) {
    const page = numbers[at]!;
    if (page >= pages || (at > 0 && page <= numbers[at - 1]!)) throw damaged('bad page numbers');
    places[page] = at + 1;
  }
  return places;
}

function filler(source: Source, start: number, places: Uint32Array, sums: Uint32Array): PageFiller {
  // Many machines may be restored from one snapshot: each page is checked for the first of them.
  const checked = new Uint8Array(places.length);
  return (page, target) => {
    const place = places[page]!;
    if (place === 0) return;
    const bytes = read(source, start + (place - 1) * GUEST_PAGE, GUEST_PAGE);
    if (checked[page] === 0) {
      if (crc32c(bytes) !== sums[place - 1]) throw damaged(`page ${page} is not what was written`);
      checked[page] = 1;
    }
    target.set(bytes);
  };
}
