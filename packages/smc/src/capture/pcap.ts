import { type ReadOptions, type Source, viewOf } from '@anole/bytes';
import { SmcError } from '../errors.ts';

/** One packet of a capture. */
export interface CapturedPacket {
  /** Counted from 1, as Wireshark does. */
  readonly number: number;
  /** Seconds since 1970, or since whatever the capture counts from. */
  readonly time: number;
  /** What its first header is: a LINKTYPE_ value of the libpcap project. */
  readonly linkType: number;
  /** As much as was captured. May alias the Source's memory until the next packet. */
  readonly bytes: Uint8Array;
}

/** Longest packet or block that is taken: Wireshark's limit. */
const MAX_BLOCK = 16 * 2 ** 20;

/**
 * The packets of a capture file, pcap or pcapng, in the order of the file.
 *
 * Sources: draft-ietf-opsawg-pcap-05, draft-ietf-opsawg-pcapng-04.
 *
 * @throws SmcError `SMC_BAD_CAPTURE` with `details.offset`
 */
export async function* readCapture(
  source: Source,
  options: ReadOptions = {},
): AsyncGenerator<CapturedPacket> {
  const reader = new Reader(source, options);
  const magic = viewOf(await reader.peek(4)).getUint32(0);
  if (magic === 0x0a0d0d0a) yield* readPcapng(reader);
  else yield* readPcap(reader, magic);
}

async function* readPcap(reader: Reader, magic: number): AsyncGenerator<CapturedPacket> {
  const kind = pcapMagics.get(magic);
  if (kind === undefined) {
    throw badCapture('it begins with neither pcap nor pcapng', 0, 'save it as pcap or pcapng');
  }
  const { little, perSecond } = kind;
  const head = viewOf(await reader.take(24));
  const linkType = head.getUint32(20, little) & 0xffff;
  for (let number = 1; !reader.atEnd; number++) {
    const offset = reader.offset;
    const record = viewOf((await reader.take(16)).slice());
    const length = record.getUint32(8, little);
    if (length > MAX_BLOCK) throw badCapture(`a packet of ${length} bytes`, offset);
    const time = record.getUint32(0, little) + record.getUint32(4, little) / perSecond;
    yield { number, time, linkType, bytes: await reader.take(length) };
  }
}

const pcapMagics = new Map([
  [0xa1b2c3d4, { little: false, perSecond: 1e6 }],
  [0xd4c3b2a1, { little: true, perSecond: 1e6 }],
  [0xa1b23c4d, { little: false, perSecond: 1e9 }],
  [0x4d3cb2a1, { little: true, perSecond: 1e9 }],
]);

interface Interface {
  readonly linkType: number;
  readonly unitsPerSecond: number;
}

const Block = { section: 0x0a0d0d0a, interface: 1, simple: 3, enhanced: 6 } as const;

async function* readPcapng(reader: Reader): AsyncGenerator<CapturedPacket> {
  let little = true;
  let interfaces: Interface[] = [];
  let number = 0;
  while (!reader.atEnd) {
    const offset = reader.offset;
    const head = viewOf(await reader.peek(12));
    const type = head.getUint32(0, little);
    if (type === Block.section) {
      little = head.getUint32(8, true) === 0x1a2b3c4d;
      interfaces = [];
    }
    const length = head.getUint32(4, little);
    if (length < 12 || length > MAX_BLOCK || length % 4 !== 0) {
      throw badCapture(`a block of ${length} bytes`, offset);
    }
    const block = viewOf(await reader.take(length));
    if (type === Block.interface) interfaces.push(readInterface(block, little, offset));
    if (type !== Block.enhanced && type !== Block.simple) continue;
    number++;
    const place = type === Block.enhanced ? enhanced(block, little) : simple(block, little);
    const port = interfaces[place.interface];
    if (port === undefined) throw badCapture(`interface ${place.interface} unknown`, offset);
    if (place.start + place.length > block.byteLength - 4) {
      throw badCapture(`a packet of ${place.length} bytes in a block of ${length}`, offset);
    }
    const bytes = new Uint8Array(block.buffer, block.byteOffset + place.start, place.length);
    yield { number, time: place.units / port.unitsPerSecond, linkType: port.linkType, bytes };
  }
}

/** Option of an interface: the resolution of its times. */
const TIME_RESOLUTION = 9;

function readInterface(block: DataView, little: boolean, offset: number): Interface {
  let unitsPerSecond = 1e6;
  if (block.byteLength < 20) throw badCapture('an interface cut short', offset);
  for (let at = 16; at + 8 <= block.byteLength; ) {
    const length = block.getUint16(at + 2, little);
    if (block.getUint16(at, little) === TIME_RESOLUTION && length >= 1) {
      const value = block.getUint8(at + 4);
      unitsPerSecond = value & 0x80 ? 2 ** (value & 0x7f) : 10 ** value;
    }
    at += 4 + Math.ceil(length / 4) * 4;
  }
  return { linkType: block.getUint16(8, little), unitsPerSecond };
}

interface Place {
  readonly interface: number;
  readonly units: number;
  readonly start: number;
  readonly length: number;
}

function enhanced(block: DataView, little: boolean): Place {
  if (block.byteLength < 32) return { interface: 0, units: 0, start: 28, length: Infinity };
  const units = block.getUint32(12, little) * 2 ** 32 + block.getUint32(16, little);
  const length = block.getUint32(20, little);
  return { interface: block.getUint32(8, little), units, start: 28, length };
}

function simple(block: DataView, little: boolean): Place {
  const room = Math.max(0, block.byteLength - 16);
  const length = block.byteLength < 16 ? Infinity : block.getUint32(8, little);
  return { interface: 0, units: 0, start: 12, length: Math.min(length, room) };
}

/** Reads a Source front to back, in pieces. */
class Reader {
  readonly #source: Source;
  readonly #options: ReadOptions;
  #piece = new Uint8Array();
  #pieceStart = 0;
  offset = 0;

  constructor(source: Source, options: ReadOptions) {
    this.#source = source;
    this.#options = options;
  }

  get atEnd(): boolean {
    return this.offset >= this.#source.size;
  }

  /** The next bytes; they alias memory that the next call may change. */
  async peek(length: number): Promise<Uint8Array> {
    const left = this.#source.size - this.offset;
    if (length > left) {
      throw badCapture(`${left} bytes where ${length} belong`, this.offset, 'it was cut short');
    }
    const start = this.offset - this.#pieceStart;
    if (start + length > this.#piece.length) {
      const size = Math.min(left, Math.max(length, 2 ** 18));
      this.#options.signal?.throwIfAborted();
      this.#piece = (await this.#source.read(this.offset, size, this.#options)) as never;
      this.#pieceStart = this.offset;
      return this.#piece.subarray(0, length);
    }
    return this.#piece.subarray(start, start + length);
  }

  async take(length: number): Promise<Uint8Array> {
    const bytes = await this.peek(length);
    this.offset += length;
    return bytes;
  }
}

function badCapture(what: string, offset: number, hint?: string): SmcError {
  return new SmcError('SMC_BAD_CAPTURE', `Cannot read the capture: ${what} (at byte ${offset})`, {
    details: { offset },
    ...(hint !== undefined && { hint }),
  });
}
