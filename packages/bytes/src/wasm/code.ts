import { signed, signed32, unsigned } from './leb128.ts';
import {
  type AtomicOperator,
  atomicOpcodes,
  type LaneOperator,
  laneOpcodes,
  type MemoryOperator,
  memoryOpcodes,
  type Operator,
  opcodes,
  saturatingOpcodes,
  simdOpcodes,
  type ValueType,
} from './opcodes.ts';

/**
 * Code of a function as a tree: raw bytes, sequences, and structured control whose branches name
 * their target by a {@link Label} object; depths are computed when the tree is written out. An
 * expression is Code that leaves one value.
 */
export type Code = number | readonly Code[] | Block | Branch | RamAccess | Hole | Piece;

/** Identity of a block, loop or if. Each may be used in one place only. */
export interface Label {
  readonly label: string;
  /** Blocks around it, where it is written. */
  depth?: number;
}

export interface Block {
  readonly kind: 'block' | 'loop' | 'if';
  readonly label: Label;
  readonly result: ValueType | undefined;
  readonly body: Code;
  readonly otherwise?: Code;
}

export interface Branch {
  readonly kind: 'br' | 'br_if' | 'br_table';
  readonly targets: readonly Label[];
}

/** The immediate of an access to RAM: which memory that is, the module knows. */
export interface RamAccess {
  readonly kind: 'ram';
  /** Logarithm of the alignment that the access promises. */
  readonly alignment: number;
  readonly offset: number;
}

/** A number that is known only when a {@link Template} is filled. */
export interface Hole {
  readonly kind: 'hole';
  /** Which of the numbers that it is filled with. */
  readonly number: number;
  readonly signed: boolean;
}

/** Code that was assembled before, with holes for what differs from place to place. */
export interface Template {
  readonly bytes: Uint8Array;
  readonly holes: readonly TemplateHole[];
}

/** At `at` of the bytes comes a number, or the depth of a label that is `depth` less at the start. */
export interface TemplateHole {
  readonly at: number;
  readonly what: Hole | { readonly kind: 'label'; readonly label: Label; readonly depth: number };
}

/** A template, filled. */
export interface Piece {
  readonly kind: 'piece';
  readonly template: Template;
  /** By the numbers of holes; int32. */
  readonly numbers: readonly number[];
  /** What labels stand for that the template goes to and does not have. */
  readonly label: Label | undefined;
}

/** A local variable or parameter of the function being built. */
export interface Local {
  readonly index: number;
  readonly type: ValueType;
}

/** Something callable: an import or a function of the module, by index. */
export interface FunctionRef {
  readonly index: number;
}

export const label = (name: string): Label => ({ label: name });

/** An instruction without immediate operands, after the code of its arguments. */
export const op = (name: Operator, ...args: Code[]): Code => {
  args.push(operators.get(name)!);
  return args;
};

const operators: ReadonlyMap<Operator, Code> = new Map<Operator, Code>([
  ...Object.entries(opcodes).map(([name, code]) => [name as Operator, code] as const),
  ...Object.entries(simdOpcodes).map(
    ([name, code]) => [name as Operator, [0xfd, unsigned(code)]] as const,
  ),
  ...Object.entries(saturatingOpcodes).map(
    ([name, code]) => [name as Operator, [0xfc, code]] as const,
  ),
]);

export const i32 = (value: number): Code => [0x41, signed32(value)];
export const i64 = (value: bigint | number): Code => [
  0x42,
  signed(
    typeof value === 'number' && value === (value | 0) ? value : BigInt.asIntN(64, BigInt(value)),
  ),
];

/** The lane `lane` of a vector. */
export const lane = (name: LaneOperator, vector: Code, index: number): Code => [
  vector,
  0xfd,
  unsigned(laneOpcodes[name]),
  index,
];

export function f32(value: number): Code {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return [0x43, [...bytes]];
}

export function f64(value: number): Code {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  return [0x44, [...bytes]];
}

/** A constant of a template that is known when it is filled. */
export const i32Hole = (number: number): Code => [0x41, { kind: 'hole', number, signed: true }];
/** The same, sign-extended. */
export const i64Hole = (number: number): Code => [0x42, { kind: 'hole', number, signed: true }];
/** A local of a template whose index is known when it is filled. */
export const localHole = (number: number, type: ValueType): Local => ({ index: ~number, type });

const gets: Code[] = Array.from({ length: 128 }, (_, index) => [0x20, index]);

const indexOf = ({ index }: Local): Code =>
  index < 0 ? { kind: 'hole', number: ~index, signed: false } : unsigned(index);
export const get = (local: Local): Code => gets[local.index] ?? [0x20, indexOf(local)];
export const set = (local: Local, value: Code): Code => [value, 0x21, indexOf(local)];
/** Sets a local and leaves the value. */
export const tee = (local: Local, value: Code): Code => [value, 0x22, indexOf(local)];

/** Alignment hints are given as 1 byte: they change nothing on hosts that matter. */
export function load(name: MemoryOperator, address: Code, offset = 0): Code {
  return [address, memoryOpcodes[name], 0, unsigned(offset)];
}

export function store(name: MemoryOperator, address: Code, value: Code, offset = 0): Code {
  return [address, value, memoryOpcodes[name], 0, unsigned(offset)];
}

export const vectorLoad = (address: Code, offset = 0): Code => [
  address,
  ...[0xfd, 0, 0, unsigned(offset)],
];

export const vectorStore = (address: Code, value: Code, offset = 0): Code => [
  address,
  value,
  ...[0xfd, 11, 0, unsigned(offset)],
];

/** A vector of 16 bytes of two others: 0 to 15 are those of the first, 16 to 31 of the second. */
export const shuffle = (a: Code, b: Code, bytes: readonly number[]): Code => [
  a,
  b,
  ...[0xfd, 13, bytes],
];

/** The same in RAM: a second memory that threads share, where the module has one. */
export function ramLoad(name: MemoryOperator, address: Code, offset = 0): Code {
  return [address, memoryOpcodes[name], { kind: 'ram', alignment: 0, offset }];
}

export function ramStore(name: MemoryOperator, address: Code, value: Code, offset = 0): Code {
  return [address, value, memoryOpcodes[name], { kind: 'ram', alignment: 0, offset }];
}

/** A sequentially consistent access to RAM, aligned by nature: else it traps. */
export function ramAtomic(
  name: AtomicOperator,
  address: Code,
  values: readonly Code[] = [],
  offset = 0,
): Code {
  const { opcode, alignment } = atomicOpcodes[name];
  return [address, ...values, 0xfe, unsigned(opcode), { kind: 'ram', alignment, offset }];
}

/** Orders all accesses before it and all behind it. */
export const atomicFence: Code = [0xfe, 0x03, 0x00];

export function memoryFill(address: Code, byte: Code, length: Code): Code {
  return [address, byte, length, 0xfc, 11, 0];
}

/** Both within the one memory; they may overlap. */
export function memoryCopy(to: Code, from: Code, length: Code): Code {
  return [to, from, length, 0xfc, 10, 0, 0];
}

export const call = (callee: FunctionRef, ...args: readonly Code[]): Code => [
  ...args,
  0x10,
  unsigned(callee.index),
];

/** Goes on in another function that gives the same results, and leaves no frame behind. */
export const tailCall = (callee: FunctionRef, ...args: readonly Code[]): Code => [
  ...args,
  0x12,
  unsigned(callee.index),
];

/** The type of a function, by its index: for calls through the table. */
export interface TypeRef {
  readonly type: number;
}

/** Calls entry `at` of the module's table. */
export const callIndirect = (type: TypeRef, at: Code, ...args: readonly Code[]): Code => [
  ...args,
  at,
  0x11,
  unsigned(type.type),
  0,
];

/** {@link tailCall} through the table. */
export const tailCallIndirect = (type: TypeRef, at: Code, ...args: readonly Code[]): Code => [
  ...args,
  at,
  0x13,
  unsigned(type.type),
  0,
];

export const ret = (...values: readonly Code[]): Code => [...values, opcodes.return];

export const block = (to: Label, ...body: readonly Code[]): Code => ({
  kind: 'block',
  label: to,
  result: undefined,
  body,
});

export const loop = (to: Label, ...body: readonly Code[]): Code => ({
  kind: 'loop',
  label: to,
  result: undefined,
  body,
});

export function when(condition: Code, then: Code, otherwise?: Code): Code {
  const body = { kind: 'if', label: label('if'), result: undefined, body: then } as const;
  return [condition, otherwise === undefined ? body : { ...body, otherwise }];
}

/** An if with a value on either side. */
export function choose(type: ValueType, condition: Code, then: Code, otherwise: Code): Code {
  return [condition, { kind: 'if', label: label('if'), result: type, body: then, otherwise }];
}

/** A template at its place. `to` stands for labels that the template goes to and does not have. */
export const fill = (template: Template, numbers: readonly number[], to?: Label): Code => ({
  kind: 'piece',
  template,
  numbers,
  label: to,
});

export const br = (to: Label): Code => ({ kind: 'br', targets: [to] });
export const brIf = (condition: Code, to: Label): Code => [
  condition,
  { kind: 'br_if', targets: [to] },
];
/** Goes to `targets[index]`, or to `fallback` for any greater index. */
export function brTable(index: Code, targets: readonly Label[], fallback: Label): Code {
  return [index, { kind: 'br_table', targets: [...targets, fallback] }];
}
