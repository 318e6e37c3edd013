import {
  block,
  br,
  brIf,
  brTable,
  type Code,
  get,
  i32,
  type Label,
  type Local,
  label,
  op,
} from '@anole/bytes/wasm';
import type { Instruction } from '../../isa/instruction.ts';

/**
 * Code that finds the instruction in local `word` and runs its handler. One handler per
 * instruction, made by `handler`, which must leave by a branch; words that encode nothing go to
 * `illegal`. The tree is computed from the encodings: first the major opcode with funct3, then
 * whatever bits tell the rest apart.
 *
 * @param shortcut code to run first; it may use `direct` to go to the handler of one of a few instructions,
 *   by its index among them
 */
export function dispatch(
  instructions: readonly Instruction[],
  word: Local,
  illegal: Label,
  handler: (instruction: Instruction) => Code,
  shortcut: (direct: Direct) => Code,
): Code {
  const labels = new Map(instructions.map((each) => [each, label(each.name)]));
  const groups = new Groups(labels, word, illegal);
  const table = Array.from({ length: 256 }, (_, index) => {
    const value = (((index >> 5) << 12) | ((index & 31) << 2) | 3) >>> 0;
    const fitting = instructions.filter(
      ({ mask, match }) => ((match ^ value) & mask & FIRST_BITS) === 0,
    );
    return groups.target(fitting);
  });
  const index = op(
    'i32.or',
    op('i32.and', op('i32.shr_u', get(word), i32(2)), i32(31)),
    op('i32.and', op('i32.shr_u', get(word), i32(7)), i32(0xe0)),
  );
  const direct: Direct = (at, among) =>
    brTable(
      at,
      among.map((each) => labels.get(each)!),
      illegal,
    );
  let code: Code = [shortcut(direct), brTable(index, table, illegal)];
  for (const [group, code2] of groups.entries()) code = [block(group, code), code2];
  for (const [instruction, target] of labels) {
    code = [block(target, code), handler(instruction)];
  }
  return code;
}

/** Goes to the handler of the instruction at index `at` of `among`. */
export type Direct = (at: Code, among: readonly Instruction[]) => Code;

/** Major opcode and funct3. The two low bits are always ones here. */
const FIRST_BITS = 0x707f;

/** So many values are compared with one by one. */
const MOST_COMPARED = 8;

/** Second levels: code that tells apart what the first level could not. */
class Groups {
  readonly #labels: ReadonlyMap<Instruction, Label>;
  readonly #word: Local;
  readonly #illegal: Label;
  readonly #groups = new Map<string, { label: Label; code: Code }>();

  constructor(labels: ReadonlyMap<Instruction, Label>, word: Local, illegal: Label) {
    this.#labels = labels;
    this.#word = word;
    this.#illegal = illegal;
  }

  target(fitting: readonly Instruction[]): Label {
    const [only] = fitting;
    if (only === undefined) return this.#illegal;
    if (fitting.length === 1 && (only.mask & ~FIRST_BITS) === 0) return this.#labels.get(only)!;
    const key = fitting.map(({ name }) => name).join();
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { label: label(key), code: this.#choose(fitting, FIRST_BITS) };
      this.#groups.set(key, group);
    }
    return group.label;
  }

  *entries(): Iterable<readonly [Label, Code]> {
    for (const { label: name, code } of this.#groups.values()) yield [name, code];
  }

  /** Code for instructions that agree in the bits of `known`, which have been looked at. */
  #choose(fitting: readonly Instruction[], known: number): Code {
    const [first] = fitting;
    if (first === undefined) return br(this.#illegal);
    if (fitting.length === 1) return this.#check(first, known);
    const field = bestField(fitting, known);
    const seen = known | (((1 << field.width) - 1) << field.low);
    const values = new Map<number, Instruction[]>();
    for (const each of fitting) {
      const value = (each.match >>> field.low) & ((1 << field.width) - 1);
      values.set(value, [...(values.get(value) ?? []), each]);
    }
    const targets = new Map([...values.keys()].map((value) => [value, label(`value ${value}`)]));
    const table = Array.from(
      { length: 1 << field.width },
      (_, v) => targets.get(v) ?? this.#illegal,
    );
    const shifted = op('i32.shr_u', get(this.#word), i32(field.low));
    const value = op('i32.and', shifted, i32((1 << field.width) - 1));
    let code: Code = brTable(value, table, this.#illegal);
    if (targets.size <= MOST_COMPARED) {
      code = [
        [...targets].map(([of, target]) => brIf(op('i32.eq', value, i32(of)), target)),
        br(this.#illegal),
      ];
    }
    for (const [value, group] of values) {
      code = [block(targets.get(value)!, code), this.#choose(group, seen)];
    }
    return code;
  }

  #check(instruction: Instruction, known: number): Code {
    const rest = instruction.mask & ~known;
    const target = this.#labels.get(instruction)!;
    if (rest === 0) return br(target);
    const bits = op('i32.and', get(this.#word), i32(rest));
    return [brIf(op('i32.eq', bits, i32(instruction.match & rest)), target), br(this.#illegal)];
  }
}

interface BitField {
  readonly low: number;
  readonly width: number;
}

/** Fields worth looking at: parts of funct7, rs2 and rd. */
const candidates: readonly BitField[] = [
  { low: 25, width: 7 },
  { low: 26, width: 6 },
  { low: 27, width: 5 },
  { low: 25, width: 2 },
  { low: 20, width: 5 },
  { low: 20, width: 6 },
  { low: 12, width: 3 },
];

/** The field that all of them fix and that tells most of them apart. */
function bestField(fitting: readonly Instruction[], known: number): BitField {
  let best: BitField | undefined;
  let most = 1;
  for (const field of candidates) {
    const bits = ((1 << field.width) - 1) << field.low;
    if ((bits & known) !== 0 && (bits & ~known) === 0) continue;
    if (fitting.some(({ mask }) => (mask & bits) !== bits)) continue;
    const values = new Set(fitting.map(({ match }) => match & bits)).size;
    if (values > most) {
      most = values;
      best = field;
    }
  }
  if (best === undefined) throw new Error(`Cannot tell apart ${fitting.map(({ name }) => name)}`);
  return best;
}
