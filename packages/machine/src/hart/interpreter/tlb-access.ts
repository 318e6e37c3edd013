import {
  brIf,
  type Code,
  choose,
  get,
  i32,
  i64,
  type Label,
  type Local,
  load,
  type MemoryOperator,
  op,
  ramLoad,
  ramStore,
  set,
} from '@anole/bytes/wasm';
import type { MemoryUpdate, Width } from '../../isa/ir.ts';
import { DATA_MODE, TLB_BYTES, TlbKind, tlbOf } from '../layout.ts';
import { isReserved, type LocalPool, updateAt } from './atomics.ts';
import { sharedUpdateAt } from './shared-atomics.ts';
import { add32, and32, and64, slot32, wrap } from './slots.ts';

export interface TlbContext {
  readonly pool: Pick<LocalPool, 'take'>;
  /** i32: place of the table for loads, see {@link dataTable}. */
  readonly data: Local;
  /** i32, to work with. */
  readonly entry: Local;
  /** Where to go when the TLB has no answer. */
  readonly slow: Label;
  /** Whether other harts work on the same RAM. */
  readonly shared: boolean;
  /** i32: what to add to each address, where the TLB was asked before. */
  readonly delta?: Local | undefined;
}

/** Place of the TLB for a kind of access, by the slot that holds the mode. */
export const tableOf = (kind: number, mode: number): Code =>
  add32(i32(tlbOf(kind)), op('i32.mul', slot32(mode), i32(TLB_BYTES)));

/** Place of the table for loads. That for stores is {@link STORES} behind it. */
export const dataTable: Code = tableOf(TlbKind.read, DATA_MODE);
export const STORES: number = tlbOf(TlbKind.write) - tlbOf(TlbKind.read);

/** Place of the entry that `address` would be in. */
export function entryOf(table: Local, address: Code): Code {
  const index = and32(wrap(op('i64.shr_u', address, i64(8))), TLB_BYTES - 16);
  return add32(get(table), index);
}

/** Loads and stores as far as the TLB answers. Misaligned addresses differ in the tag. */
export class TlbAccess {
  readonly #context: TlbContext;

  constructor(context: TlbContext) {
    this.#context = context;
  }

  load(width: Width, signed: boolean, address: Code): Code {
    const name = (
      width === 8 ? 'i64.load' : `i64.load${width * 8}_${signed ? 's' : 'u'}`
    ) as MemoryOperator;
    return ramLoad(name, this.#place(0, address, width));
  }

  store(width: Width, address: Code, value: Code): Code {
    const name = (width === 8 ? 'i64.store' : `i64.store${width * 8}`) as MemoryOperator;
    return ramStore(name, this.#place(STORES, address, width), value);
  }

  update(update: MemoryUpdate, address: Code, value: Code): Code {
    const { pool, shared } = this.#context;
    const locals = {
      address: pool.take('i64'),
      place: pool.take('i32'),
      operand: pool.take('i64'),
      old: pool.take('i64'),
    };
    const table = update.kind === 'loadReserved' ? 0 : STORES;
    const prepare = [
      set(locals.address, address),
      update.kind === 'loadReserved' ? [] : set(locals.operand, value),
    ];
    const proceed = [
      set(locals.place, this.#place(table, get(locals.address), update.width)),
      shared ? sharedUpdateAt(update, locals) : updateAt(update, locals),
    ];
    if (update.kind !== 'storeConditional') return [prepare, proceed];
    return [prepare, choose('i64', isReserved(locals.address), proceed, i64(1))];
  }

  /** Place of `address` in this memory, by the table that is so far behind that for loads. */
  #place(table: number, address: Code, width: Width): Code {
    const { pool, data, entry, slow, delta } = this.#context;
    if (delta !== undefined) return add32(wrap(address), get(delta));
    const at = pool.take('i64');
    const tag = and64(get(at), BigInt(-4096 | (width - 1)));
    return [
      set(at, address),
      set(entry, entryOf(data, get(at))),
      brIf(op('i64.ne', load('i64.load', get(entry), table), tag), slow),
      add32(wrap(get(at)), load('i32.load', get(entry), table + 8)),
    ];
  }
}
