import {
  assembleTemplate,
  atomicFence,
  br,
  brIf,
  type Code,
  get,
  i32,
  i32Hole,
  i64,
  i64Hole,
  type Local,
  label,
  localHole,
  op,
  set,
  store,
  type Template,
  type ValueType,
} from '@anole/bytes/wasm';
import { dirtiesFloat } from '../../isa/instruction.ts';
import type { CsrAction, FloatOperation } from '../../isa/ir.ts';
import { type BackEnd, lower } from '../../isa/lower.ts';
import { quickFloat } from '../interpreter/quick/quick-float.ts';
import { add64 } from '../interpreter/slots.ts';
import { TlbAccess } from '../interpreter/tlb-access.ts';
import { commonLocals, leavingAt } from './common.ts';
import { accessCsr } from './csrs.ts';
import { FLOATS, fieldOf, type RegisterField, slotOf } from './liveness.ts';
import { Outcome } from './lookup.ts';
import { flowOf, rdOf, type Step } from './step.ts';

export interface TemplateOptions {
  /** See {@link ../interpreter/fused.ts}. */
  readonly fused: boolean;
  /** Whether other harts work on the same RAM. */
  readonly shared: boolean;
}

/** What a template is filled with, by the numbers of holes; locals to work with follow. */
const hole = {
  rd: 0,
  rs1: 1,
  rs2: 2,
  rs3: 3,
  immediate: 4,
  here: 5,
  next: 6,
  leave: 7,
  after: 8,
  slot: 9,
  delta: 10,
};
const WORK = 11;

/** Code of a kind of instruction, up to where it jumps. */
export interface StepTemplate {
  readonly template: Template;
  /** Whether it may leave in its middle. */
  readonly leaves: boolean;
  readonly usesFloats: boolean;
  /** Registers whose locals it is filled with. */
  readonly operands: readonly { readonly field: RegisterField; readonly bank: 0 | typeof FLOATS }[];
  /** Types of locals to work with. */
  readonly work: readonly ValueType[];
}

/**
 * Code of instructions, made once for each kind of them and filled with registers, constants and ways
 * out where it stands: as lowering each anew took most of the time of compiling. A branch leaves its condition on
 * the stack, a jump to a register its target in the local `target`; the rest of both is the region's.
 */
export class StepTemplates {
  readonly #options: TemplateOptions;
  readonly #known = new Map<Step['instruction'], (StepTemplate | undefined)[]>();

  constructor(options: TemplateOptions) {
    this.#options = options;
  }

  /** @param isPlaced whether it is a load or store of a group, see {@link ./groups.ts} */
  of(step: Step, isPlaced: boolean): StepTemplate {
    let known = this.#known.get(step.instruction);
    if (known === undefined) {
      known = [];
      this.#known.set(step.instruction, known);
    }
    const variant = 2 * variantOf(step) + Number(isPlaced);
    known[variant] ??= new TemplateMaker(step, this.#options, isPlaced).make();
    return known[variant];
  }
}

/** Makes two steps of one instruction differ in shape: operands that are x0, a CSR, how to round. */
function variantOf({ word, instruction }: Step): number {
  const [rd, rs1, rs2] = [word & 0xf80, word & 0xf8000, word & 0x1f00000];
  const zeros = (rd === 0 ? 1 : 0) | (rs1 === 0 ? 2 : 0) | (rs2 === 0 ? 4 : 0);
  if (instruction.extension === 'Zicsr') return zeros | ((word >>> 20) << 3);
  return instruction.fields.has('rm') ? zeros | (((word >>> 12) & 7) << 3) : zeros;
}

export interface StepLocals {
  /** The local of a register of the guest. */
  readonly register: (number: number) => Local;
  /** One to work with. */
  readonly work: (type: ValueType) => Local;
  /** That of the step's group, if it is in one. */
  readonly delta: Local | undefined;
}

/** Numbers to fill a step's template with. */
export function numbersFor(
  step: Step,
  { operands, work }: StepTemplate,
  refund: number,
  locals: StepLocals,
): number[] {
  const { offset, size, immediate } = step;
  const next = offset + size;
  const leave = leavingAt(offset, refund, Outcome.slow);
  const after = leavingAt(next, refund - 1, Outcome.interrupt);
  const numbers = [0, 0, 0, 0, immediate, offset, next, leave, after, 0, locals.delta?.index ?? 0];
  numbers[hole.slot] = slotOf(rdOf(step));
  for (const { field, bank } of operands) {
    numbers[hole[field]] = locals.register(bank + fieldOf(step, field)).index;
  }
  for (const type of work) numbers.push(locals.work(type).index);
  return numbers;
}

class TemplateMaker {
  readonly #step: Step;
  readonly #options: TemplateOptions;
  readonly #isPlaced: boolean;
  readonly #leave = label('leave');
  readonly #access: TlbAccess;
  readonly #work: ValueType[] = [];
  readonly #operands = new Map<RegisterField, 0 | typeof FLOATS>();
  #leaves = false;
  #usesFloats = false;

  constructor(step: Step, options: TemplateOptions, isPlaced: boolean) {
    this.#isPlaced = isPlaced;
    this.#step = step;
    this.#options = options;
    const { data, entry } = commonLocals;
    const pool = { take: (type: ValueType) => this.#take(type) };
    this.#access = new TlbAccess({
      pool,
      data,
      entry,
      slow: this.#leave,
      shared: options.shared,
      delta: isPlaced ? localHole(hole.delta, 'i32') : undefined,
    });
  }

  make(): StepTemplate {
    const code = lower(this.#step.instruction.semantics, this.#backEnd());
    const whole = this.#leaves ? [set(commonLocals.leaving, i32Hole(hole.leave)), code] : code;
    return {
      template: assembleTemplate(whole, this.#options.shared ? 1 : 0),
      leaves: this.#leaves,
      usesFloats: this.#usesFloats,
      operands: [...this.#operands].map(([field, bank]) => ({ field, bank })),
      work: this.#work,
    };
  }

  #take(type: ValueType): Local {
    this.#work.push(type);
    return localHole(WORK + this.#work.length - 1, type);
  }

  #register(field: RegisterField, bank: 0 | typeof FLOATS): Local {
    this.#operands.set(field, bank);
    return localHole(hole[field], 'i64');
  }

  #backEnd(): BackEnd {
    const access = this.#access;
    const { base, target, float } = commonLocals;
    return {
      local: (type) => this.#take(type),
      x: (operand) =>
        fieldOf(this.#step, operand) === 0 ? i64(0) : get(this.#register(operand, 0)),
      f: (operand) => get(this.#register(operand, FLOATS)),
      immediate: () => i64Hole(hole.immediate),
      pc: () => add64(get(base), i64Hole(hole.here)),
      next: () => add64(get(base), i64Hole(hole.next)),
      load: (width, signed, address) => this.#asking(access.load(width, signed, address)),
      update: (update, address, value) => this.#leaving(access.update(update, address, value)),
      store: (width, address, value) => this.#asking(access.store(width, address, value)),
      float: (operation, args) => this.#leaving(this.#floatOperation(operation, args)),
      setX: (value) => this.#setX(value),
      setF: (value) => set(this.#register('rd', FLOATS), value),
      jump: (address) => set(target, address),
      jumpRelative: () => [],
      branch: (condition) => condition,
      needsFloat: () => {
        this.#usesFloats = true;
        const wanted = dirtiesFloat(this.#step.instruction) ? float.dirty : float.on;
        return this.#leaving(brIf(op('i32.eqz', get(wanted)), this.#leave));
      },
      csr: (action, source) => this.#leaving(this.#csr(action, source)),
      // No region has others than fences.
      system: () => (this.#options.shared ? atomicFence : []),
    };
  }

  /** An access that may have to ask the TLB. */
  #asking(code: Code): Code {
    return this.#isPlaced ? code : this.#leaving(code);
  }

  #leaving(code: Code): Code {
    this.#leaves = true;
    return code;
  }

  #setX(value: Code): Code {
    if (rdOf(this.#step) !== 0) return set(this.#register('rd', 0), value);
    // The address behind a jump that does not link.
    const isIdle = flowOf(this.#step.instruction) !== 'next';
    return isIdle ? [] : [value, DROP];
  }

  #csr(action: CsrAction, source: Code): Code {
    const rd = rdOf(this.#step);
    const access = {
      number: this.#step.word >>> 20,
      action,
      writes: action === 'write' || fieldOf(this.#step, 'rs1') !== 0,
      source,
    };
    return accessCsr(access, {
      old: this.#take('i64'),
      value: this.#take('i64'),
      data: commonLocals.data,
      leave: this.#leave,
      interrupt: () => [
        set(commonLocals.leaving, i32Hole(hole.after)),
        // Who leaves in the middle does not write rd back.
        rd === 0 ? [] : store('i64.store', i32Hole(hole.slot), get(this.#register('rd', 0))),
        br(this.#leave),
      ],
      setResult: (value) => (rd === 0 ? [] : set(this.#register('rd', 0), value)),
    });
  }

  #floatOperation(operation: FloatOperation, args: readonly Code[]): Code {
    const { nearest, inexact } = commonLocals.float;
    const { instruction, word } = this.#step;
    return quickFloat(operation, args, {
      local: (type) => this.#take(type),
      nearest: get(nearest),
      inexact: get(inexact),
      fused: this.#options.fused,
      roundingMode: instruction.fields.has('rm') ? i32((word >>> 12) & 7) : undefined,
      slow: this.#leave,
    });
  }
}

const DROP = op('drop');
