import type { GuestMemory } from '../guest-memory.ts';
import * as at from '../layout.ts';

const PAGE = 4096;
/** Pages of a region at the most: each has a bit of an i32. */
const PAGES = 16;
/** How far off they are at the most: offsets in halves have 21 bits in compiled code. */
const REACH = 511;

/**
 * Where the pages around a hot place lie, as far as the fetch TLB tells when it is asked: which is
 * what the guest fetched lately, too.
 */
export class PageMap {
  /** Of the page with the hot place. */
  readonly place: number;
  /** Places of pages, counted from that one, that were asked for. */
  readonly places = new Map<number, number>();
  readonly #bytes = new Map<number, DataView>();
  readonly #memory: GuestMemory;
  readonly #tlb: DataView;
  /** Virtual address of the page. */
  readonly #start: bigint;

  /** For the pc at hand, which is at `place`. */
  constructor(own: WebAssembly.Memory, memory: GuestMemory, place: number) {
    this.#memory = memory;
    this.place = place & -PAGE;
    const state = new DataView(own.buffer, 0, at.SLOTS_END);
    const mode = state.getInt32(at.FETCH_MODE, true);
    this.#start = state.getBigUint64(at.PC, true) & -4096n;
    this.#tlb = new DataView(
      own.buffer,
      at.tlbOf(at.TlbKind.fetch) + mode * at.TLB_BYTES,
      at.TLB_BYTES,
    );
    this.places.set(0, this.place);
  }

  /** See `ReadHalf`. */
  readonly read = (offset: number): number | undefined => {
    const page = offset >> 12;
    let bytes = this.#bytes.get(page);
    if (bytes === undefined) {
      const place = this.#find(page);
      if (place === undefined) return undefined;
      const { buffer, byteOffset } = this.#memory.readable(
        this.#memory.base + at.pageOf(place) * PAGE,
        PAGE,
      );
      // Others may change shared RAM while it is looked at.
      bytes = this.#memory.shared
        ? new DataView(copyOf(new Uint8Array(buffer, byteOffset, PAGE)))
        : new DataView(buffer, byteOffset, PAGE);
      this.#bytes.set(page, bytes);
    }
    return bytes.getUint16(offset & (PAGE - 1), true);
  };

  /** A page of shared RAM as it was read. */
  copyOf(page: number): Int32Array {
    return new Int32Array(this.#bytes.get(page)!.buffer);
  }

  placeOf(offset: number): number | undefined {
    const place = this.#find(offset >> 12);
    return place === undefined ? undefined : (place + (offset & (PAGE - 1))) | 0;
  }

  #find(page: number): number | undefined {
    const known = this.places.get(page);
    if (known !== undefined || this.places.size >= PAGES) return known;
    if (Math.abs(page) > REACH) return undefined;
    // The address space may be another one by now.
    if (this.#lookUp(0) !== this.place) return undefined;
    const place = this.#lookUp(page);
    if (place !== undefined) this.places.set(page, place);
    return place;
  }

  #lookUp(page: number): number | undefined {
    const address = BigInt.asUintN(64, this.#start + BigInt(page * PAGE));
    const entry = Number((address >> 12n) % BigInt(at.TLB_ENTRIES)) * 16;
    if (this.#tlb.getBigUint64(entry, true) !== address) return undefined;
    return (Number(BigInt.asIntN(32, address)) + this.#tlb.getInt32(entry + 8, true)) | 0;
  }
}

/** In memory that harts share: each of them keeps it beside the code that was made of it. */
function copyOf(page: Uint8Array): SharedArrayBuffer {
  const copy = new SharedArrayBuffer(page.length);
  new Uint8Array(copy).set(page);
  return copy;
}
