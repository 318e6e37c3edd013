import { type Code, i32, i64, load, op, store } from '@anole/bytes/wasm';

/** Access to the slots of the state block, and short names for common code. */

export const slot32 = (offset: number): Code => load('i32.load', i32(0), offset);
export const slot64 = (offset: number): Code => load('i64.load', i32(0), offset);
export const setSlot32 = (offset: number, value: Code): Code =>
  store('i32.store', i32(0), value, offset);
export const setSlot64 = (offset: number, value: Code): Code =>
  store('i64.store', i32(0), value, offset);

export const and64 = (value: Code, mask: bigint | number): Code => op('i64.and', value, i64(mask));
export const or64 = (a: Code, b: Code): Code => op('i64.or', a, b);
export const add64 = (a: Code, b: Code): Code => op('i64.add', a, b);
export const shl64 = (value: Code, by: number): Code => op('i64.shl', value, i64(by));
export const shr64 = (value: Code, by: number): Code => op('i64.shr_u', value, i64(by));
export const isSet64 = (value: Code, mask: bigint | number): Code =>
  op('i64.ne', and64(value, mask), i64(0));
export const add32 = (a: Code, b: Code): Code => op('i32.add', a, b);
export const and32 = (value: Code, mask: number): Code => op('i32.and', value, i32(mask));
export const wrap = (value: Code): Code => op('i32.wrap_i64', value);
export const extend = (value: Code): Code => op('i64.extend_i32_u', value);
