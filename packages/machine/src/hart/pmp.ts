import { PMP_GUARD, PMPADDR, PMPCFG } from './layout.ts';
import type { HartState } from './state.ts';

/** Physical memory protection (Privileged spec, "Physical Memory Protection"): 16 entries, G = 0. */

const ENTRIES = 16;
const LOCKED = 0x80;
const TOR = 1;
const NA4 = 2;
/** Kinds of access, numbered as {@link TlbKind}: execute, read, write; and their bits in pmpcfg. */
const permissionOf = [4, 1, 2] as const;
const ALL = 1n << 56n;

interface Region {
  readonly start: bigint;
  /** Behind the last byte. */
  readonly end: bigint;
  readonly config: number;
}

/** 0: the access faults. 1: the whole page may be accessed so. 2: these bytes may, others may not. */
export type PmpAnswer = 0 | 1 | 2;

const PAGE = 4096n;

export class Pmp {
  readonly #state: HartState;
  #regions: readonly Region[] = [];

  constructor(state: HartState) {
    this.#state = state;
  }

  /** Reads the registers again after they were written. Translations must be forgotten then. */
  update(): void {
    this.#regions = Array.from({ length: ENTRIES }, (_, index) => this.#region(index)).filter(
      (region) => region !== undefined,
    );
    const [first] = this.#regions;
    const open =
      first !== undefined && first.start === 0n && first.end >= ALL && (first.config & 7) === 7;
    const locked = this.#regions.some(({ config }) => (config & LOCKED) !== 0);
    this.#state.setWord(PMP_GUARD, (open ? 0 : 1) | (locked && !open ? 2 : 0));
  }

  /** Whether `size` bytes at a physical address may be accessed, by M or by S and U. */
  check(address: bigint, size: number, kind: 0 | 1 | 2, machine: boolean): PmpAnswer {
    const end = address + BigInt(size);
    const page = address & -PAGE;
    let whole = true;
    for (const region of this.#regions) {
      const inPage = region.start < page + PAGE && region.end > page;
      if (!inPage) continue;
      whole &&= region.start <= page && region.end >= page + PAGE;
      if (region.start >= end || region.end <= address) continue;
      if (region.start > address || region.end < end) return 0;
      const free = machine && (region.config & LOCKED) === 0;
      if (!free && (region.config & permissionOf[kind]) === 0) return 0;
      return whole ? 1 : 2;
    }
    if (!machine) return 0;
    return whole ? 1 : 2;
  }

  config(index: number): number {
    const register = this.#state.get(PMPCFG + (index >> 3) * 8);
    return Number((register >> BigInt((index & 7) * 8)) & 0xffn);
  }

  /** Whether a write of pmpaddr is ignored: its entry is locked, or the next one, as its top. */
  isAddressLocked(index: number): boolean {
    if ((this.config(index) & LOCKED) !== 0) return true;
    if (index + 1 >= ENTRIES) return false;
    const next = this.config(index + 1);
    return (next & LOCKED) !== 0 && ((next >> 3) & 3) === TOR;
  }

  #region(index: number): Region | undefined {
    const config = this.config(index);
    const address = this.#state.get(PMPADDR + index * 8);
    switch ((config >> 3) & 3) {
      case 0:
        return undefined;
      case TOR: {
        const bottom = index === 0 ? 0n : this.#state.get(PMPADDR + index * 8 - 8);
        return { start: bottom << 2n, end: address << 2n, config };
      }
      case NA4:
        return { start: address << 2n, end: (address << 2n) + 4n, config };
      default: {
        // NAPOT: the ones at the end give the size, 8 bytes for none.
        const ones = ~address & (address + 1n);
        const size = ones << 3n;
        const start = (address << 2n) & -size;
        return { start, end: start + size, config };
      }
    }
  }
}
