import type { Local, ValueType } from '@anole/bytes/wasm';

/** Locals that each compiled function has, at the same indexes. */
export interface CommonLocals {
  /** Parameters. The pc is wanted only once: its local becomes the base. */
  readonly base: Local;
  readonly remaining: Local;
  readonly target: Local;
  readonly leaving: Local;
  /** Bits of the pages whose translation was looked at. */
  readonly known: Local;
  readonly data: Local;
  readonly entry: Local;
  readonly dispatch: Local;
  readonly float: Readonly<Record<'on' | 'dirty' | 'nearest' | 'inexact', Local>>;
}

const types = {
  base: 'i64',
  remaining: 'i32',
  target: 'i64',
  leaving: 'i32',
  known: 'i32',
  data: 'i32',
  entry: 'i32',
  dispatch: 'i32',
} as const;
const flags = ['on', 'dirty', 'nearest', 'inexact'] as const;

/** Types of {@link commonLocals} behind the two parameters. */
export const commonTypes: readonly ValueType[] = [
  ...Object.values(types).slice(2),
  ...flags.map(() => 'i32' as const),
];

export const commonLocals: CommonLocals = {
  ...(Object.fromEntries(
    Object.entries(types).map(([name, type], index) => [name, { index, type }]),
  ) as Record<keyof typeof types, Local>),
  float: Object.fromEntries(
    flags.map((name, at) => [name, { index: Object.keys(types).length + at, type: 'i32' }]),
  ) as unknown as CommonLocals['float'],
};

/** Where the local `leaving` has its parts: outcome, instructions not executed, half the offset. */
export const REFUND = 2;
export const OFFSET = 11;
export const MAX_REFUND = 511;

/** What `leaving` is to hold before something leaves. */
export const leavingAt = (offset: number, refund: number, outcome: number): number =>
  ((offset >> 1) << OFFSET) | (refund << REFUND) | outcome;
