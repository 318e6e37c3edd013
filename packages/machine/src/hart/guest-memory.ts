import { HartError } from './errors.ts';
import { CODE_PAGES, FRAME_OF, RAM_BASE, RAM_OFFSET, TOUCHED, WRITTEN } from './layout.ts';
import { giveMemory, makeMemory, takeMemory } from './memory-pool.ts';

const PAGE = 0x10000;
/** Bytes of a page of the guest. */
export const GUEST_PAGE = 4096;
/** Bytes of RAM that there can be at most. */
export const MAX_MEMORY = 0x1_0000_0000 - RAM_OFFSET - PAGE;

/** Fills one page of RAM, zeroed before: `target` is its 4096 bytes. `page` counts from the base. */
export type PageFiller = (page: number, target: Uint8Array) => void;

/** RAM that several threads work on. */
export interface SharedRam {
  /** The memory of another thread's {@link GuestMemory}. Default: a new one. */
  readonly memory?: WebAssembly.Memory;
  /** Has a page filled and noted by the thread that can. Default: this one does it. */
  readonly bring?: (page: number) => void;
}

/**
 * Guest RAM: `size` bytes at physical address {@link GuestMemory.base}, inside one WebAssembly
 * memory that never grows (so views stay valid for the life of the object). The bytes below
 * `RAM_OFFSET` of that memory are the hart's: registers, TLBs, decode tables. Where threads share
 * RAM, each hart has a memory of its own for those, and what the harts share lies there.
 *
 * Each page is noted at its first touch, by the hart or through this object. With a
 * {@link PageFiller}, which is asked then, RAM takes no time to restore but where it is used.
 */
export class GuestMemory {
  /** Physical address of the first byte of RAM. */
  readonly base = RAM_BASE;
  /** Bytes of RAM, a multiple of 64 KiB. */
  readonly size: number;
  /** The WebAssembly memory that RAM is in, from `RAM_OFFSET` on. */
  readonly wasm: WebAssembly.Memory;
  /** Whether several threads work on it: then the harts have a memory of their own each. */
  readonly shared: boolean;
  #bytes: Uint8Array;
  /** All of the memory. Of what may be shared, V8 clears an element at a time: eight bytes, not one. */
  readonly #doubles: Float64Array;
  #view: DataView;
  readonly #touched: Uint8Array;
  readonly #codePages: Uint8Array;
  readonly #writtenPages: Uint8Array;
  /** Pages that hold what another guest left there. */
  readonly #stale: Uint8Array | undefined;
  #released = false;
  readonly #fill: PageFiller | undefined;
  readonly #bring: ((page: number) => void) | undefined;
  /** Told before a page is written that has compiled code. For the hart. */
  onCodeWritten: (page: number) => void = () => {};
  /** Told when shared RAM is written through this object: what devices wrote before is there. */
  onDeviceWrite: () => void = () => {};

  /**
   * @param fill gives pages their content at their first touch. Default: they are zero.
   * @param size bytes of RAM, rounded up to 64 KiB; at most 4 GiB less the hart's own part.
   * @param shared for several threads; absent where one alone works on it, which is faster.
   * @throws HartError `MACHINE_BAD_CONFIG` where the host cannot give that much.
   */
  constructor(size: number, fill?: PageFiller, shared?: SharedRam) {
    if (!Number.isSafeInteger(size) || size <= 0 || size > MAX_MEMORY) {
      throw new HartError('MACHINE_BAD_CONFIG', `Cannot make guest memory of ${size} bytes`, {
        details: { size, max: MAX_MEMORY },
        hint: `give between 1 byte and ${MAX_MEMORY} bytes`,
      });
    }
    const pages = pagesFor(size);
    this.size = pages * PAGE - RAM_OFFSET;
    this.shared = shared !== undefined;
    const used = this.shared ? undefined : takeMemory(pages * PAGE);
    this.wasm = shared?.memory ?? used?.wasm ?? allocate(pages, this.shared);
    this.#stale = used?.stale;
    this.#doubles = new Float64Array(this.wasm.buffer);
    // Pages that were decoded are forgotten already.
    if (used !== undefined) this.#clear(0, FRAME_OF);
    this.#bring = shared?.bring;
    this.#bytes = new Uint8Array(this.wasm.buffer, RAM_OFFSET, this.size);
    this.#view = new DataView(this.wasm.buffer, RAM_OFFSET, this.size);
    this.#touched = new Uint8Array(this.wasm.buffer, TOUCHED, this.size / GUEST_PAGE / 8 + 1);
    this.#codePages = new Uint8Array(this.wasm.buffer, CODE_PAGES, this.size / GUEST_PAGE / 8 + 1);
    this.#writtenPages = new Uint8Array(this.wasm.buffer, WRITTEN, this.size / GUEST_PAGE / 8 + 1);
    this.#fill = fill;
  }

  /** Whether pages get content at their first touch. */
  get backed(): boolean {
    return this.#fill !== undefined || this.#bring !== undefined || this.#stale !== undefined;
  }

  /** For the hart, which notes the touch itself. */
  fillPage(page: number): void {
    const target = this.#bytes.subarray(page * GUEST_PAGE, (page + 1) * GUEST_PAGE);
    if (this.#stale !== undefined && hasBit(this.#stale, page)) {
      this.#clear(RAM_OFFSET + page * GUEST_PAGE, GUEST_PAGE);
    }
    this.#fill?.(page, target);
  }

  /**
   * Leaves the memory to another one of its size: no address is RAM any more. The hart must have been
   * released before.
   */
  release(): void {
    if (this.shared || this.#released) return;
    this.#released = true;
    this.onCodeWritten = () => {};
    const stale = this.#touched.slice();
    for (const [at, bits] of this.#stale?.entries() ?? []) stale[at]! |= bits;
    this.#bytes = new Uint8Array(0);
    this.#view = new DataView(new ArrayBuffer(0));
    giveMemory({ wasm: this.wasm, stale });
  }

  /** For harts that share RAM: fills a page unless another one had it filled, and notes the touch. */
  bringPage(page: number): void {
    if (this.isTouched(page)) return;
    if (this.#bring !== undefined) {
      this.#bring(page);
      return;
    }
    this.fillPage(page);
    this.#mark(this.#touched, page);
  }

  /** Whether a page, counted from the base, was touched: what was not is as it was at first. */
  isTouched(page: number): boolean {
    return hasBit(this.#touched, page);
  }

  /**
   * Pages that were written since the last call, rising. Whoever takes them flushes the hart's TLBs
   * before it runs on: their entries stand for pages that are noted.
   */
  takeWritten(): number[] {
    const pages: number[] = [];
    const written = this.#writtenPages;
    for (let index = 0; index < written.length; index++) {
      for (let bits = written[index]!; bits !== 0; bits &= bits - 1) {
        pages.push(8 * index + 31 - Math.clz32(bits & -bits));
      }
    }
    written.fill(0);
    return pages;
  }

  /** Whether all of [address, address + length) is RAM. */
  contains(address: number, length: number): boolean {
    const offset = address - this.base;
    return offset >= 0 && length >= 0 && offset + length <= this.#bytes.length;
  }

  /** The bytes at a physical address, to read. Aliases RAM: what the guest writes shows. */
  readable(address: number, length: number): Uint8Array {
    const offset = this.#offset(address, length);
    return this.#bytes.subarray(offset, offset + length);
  }

  /**
   * The bytes at a physical address, to write. Aliases RAM. Ask again for each write: the call is
   * what marks code in the range as changed.
   */
  writable(address: number, length: number): Uint8Array {
    const offset = this.#written(address, length);
    return this.#bytes.subarray(offset, offset + length);
  }

  /** Writes bytes at a physical address. */
  write(address: number, bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#written(address, bytes.length));
  }

  /** RAM from its first byte on, for reads at what {@link placeOf} gave: not to be kept. */
  get view(): DataView {
    return this.#view;
  }

  /** Where in {@link view} the bytes at a physical address are. */
  placeOf(address: number, length: number): number {
    return this.#offset(address, length);
  }

  readU8(address: number): number {
    return this.#view.getUint8(this.#offset(address, 1));
  }

  readU16(address: number): number {
    return this.#view.getUint16(this.#offset(address, 2), true);
  }

  readU32(address: number): number {
    return this.#view.getUint32(this.#offset(address, 4), true);
  }

  readU64(address: number): bigint {
    return this.#view.getBigUint64(this.#offset(address, 8), true);
  }

  writeU8(address: number, value: number): void {
    this.#view.setUint8(this.#written(address, 1), value);
  }

  writeU16(address: number, value: number): void {
    this.#view.setUint16(this.#written(address, 2), value, true);
  }

  writeU32(address: number, value: number): void {
    this.#view.setUint32(this.#written(address, 4), value, true);
  }

  writeU64(address: number, value: bigint): void {
    this.#view.setBigUint64(this.#written(address, 8), value, true);
  }

  #offset(address: number, length: number): number {
    if (!this.contains(address, length) || !Number.isSafeInteger(address)) {
      throw new HartError(
        'MACHINE_BAD_ADDRESS',
        `Cannot access ${length} bytes at physical address 0x${address.toString(16)}: not RAM`,
        { details: { address, length, base: this.base, size: this.size } },
      );
    }
    const offset = address - this.base;
    this.#touch(offset, length);
    return offset;
  }

  /** Offset of a range that is about to be written. */
  #written(address: number, length: number): number {
    const offset = this.#offset(address, length);
    if (this.shared) this.onDeviceWrite();
    const last = Math.floor((offset + length - 1) / GUEST_PAGE);
    for (let page = Math.floor(offset / GUEST_PAGE); page <= last; page++) {
      this.#mark(this.#writtenPages, page);
      if (hasBit(this.#codePages, page)) this.onCodeWritten(page);
    }
    return offset;
  }

  #touch(offset: number, length: number): void {
    const last = Math.floor((offset + length - 1) / GUEST_PAGE);
    for (let page = Math.floor(offset / GUEST_PAGE); page <= last; page++) {
      this.bringPage(page);
    }
  }

  /** Both are multiples of 8. */
  #clear(place: number, length: number): void {
    this.#doubles.fill(0, place / 8, (place + length) / 8);
  }

  #mark(pages: Uint8Array, page: number): void {
    // Another thread may mark the page beside it.
    if (this.shared) Atomics.or(pages, page >>> 3, 1 << (page & 7));
    else pages[page >>> 3]! |= 1 << (page & 7);
  }
}

function hasBit(pages: Uint8Array, page: number): boolean {
  return ((pages[page >>> 3]! >>> (page & 7)) & 1) === 1;
}

/** Pages of WebAssembly for so many bytes of RAM. */
function pagesFor(size: number): number {
  return RAM_OFFSET / PAGE + Math.ceil(size / PAGE);
}

function allocate(pages: number, shared: boolean): WebAssembly.Memory {
  try {
    return makeMemory(pages, shared || undefined);
  } catch (cause) {
    throw new HartError('MACHINE_BAD_CONFIG', `Cannot reserve ${pages * 64} KiB of guest memory`, {
      cause,
      hint: 'give the machine less memory',
    });
  }
}
