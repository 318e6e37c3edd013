import {
  br,
  brIf,
  type Code,
  get,
  i32,
  i64,
  type Label,
  type Local,
  load,
  type MemoryOperator,
  op,
  set,
  store,
  type ValueType,
  when,
} from '@anole/bytes/wasm';
import { dirtiesFloat, type Instruction } from '../../isa/instruction.ts';
import { type BackEnd, lower } from '../../isa/lower.ts';
import type { LocalPool } from '../interpreter/atomics.ts';
import { quickFloat } from '../interpreter/quick/quick-float.ts';
import {
  add32,
  add64,
  and32,
  and64,
  extend,
  setSlot64,
  slot32,
  slot64,
} from '../interpreter/slots.ts';
import { TlbAccess } from '../interpreter/tlb-access.ts';
import { F, FCSR, MSTATUS, X } from '../layout.ts';
import { status } from '../status.ts';
import { type Handler, SlotField } from './handlers.ts';

/** What handlers work with. */
export interface HandlerContext {
  /** i32: place of the slot at hand, and of the one behind what is executed with it. */
  readonly slot: Local;
  readonly next: Local;
  /** i64: what to add to a quarter of a slot's place to get the guest's address. */
  readonly delta: Local;
  /** i64: where `jump` goes. */
  readonly target: Local;
  readonly data: Local;
  readonly entry: Local;
  readonly pool: LocalPool;
  readonly fused: boolean;
  /** Where the instruction at hand leaves to, nothing of it done. */
  readonly slow: Label;
  /** To `target`; to the slot that `slot` is set to, and the same where jumps are counted. */
  readonly jump: Label;
  readonly near: Label;
  readonly counted: Label;
}

/** Code of handlers. Operands are read from the slot at hand. */
export class HandlerCode {
  readonly #context: HandlerContext;
  readonly #access: TlbAccess;

  constructor(context: HandlerContext) {
    const { pool, data, entry, slow } = context;
    this.#context = context;
    this.#access = new TlbAccess({ pool, data, entry, slow, shared: false });
  }

  /** Falls through at its end unless it jumped. */
  code(handler: Handler): Code {
    this.#context.pool.reset();
    return lower(handler.instruction.semantics, this.#backEnd(handler));
  }

  /** Address of the instruction whose slot is at a place. */
  addressOf(slot: Local): Code {
    return add64(extend(op('i32.shr_u', get(slot), i32(2))), get(this.#context.delta));
  }

  field(field: keyof typeof SlotField, name: MemoryOperator = 'i32.load'): Code {
    return load(name, get(this.#context.slot), SlotField[field]);
  }

  #byte(field: keyof typeof SlotField): Code {
    return this.field(field, 'i32.load8_u');
  }

  #operand(field: 'rs1' | 'rs2' | 'rs3', instruction: Instruction): Code {
    return this.#byte(field === 'rs2' && !instruction.fields.has('rd') ? 'rd' : field);
  }

  #backEnd({ instruction, way, writes }: Handler): BackEnd {
    const { slot, next, target, jump, slow } = this.#context;
    const relative = (): Code => this.#relative(way!);
    return {
      local: (type: ValueType) => this.#context.pool.take(type),
      x: (operand) => load('i64.load', this.#operand(operand, instruction), X),
      f: (operand) => load('i64.load', this.#operand(operand, instruction), F),
      immediate: () => this.field('immediate', 'i64.load32_s'),
      pc: () => this.addressOf(slot),
      next: () => this.addressOf(next),
      load: (width, signed, address) => this.#access.load(width, signed, address),
      update: (update, address, value) => this.#access.update(update, address, value),
      float: (operation, args) => this.#float(operation, args, instruction),
      setX: (value) => (writes ? this.#setX(value, instruction) : []),
      setF: (value) => store('i64.store', this.#byte('rd'), value, F),
      store: (width, address, value) => this.#access.store(width, address, value),
      jump: (address) => [set(target, address), br(jump)],
      jumpRelative: relative,
      branch: (condition) => when(condition, relative()),
      needsFloat: () => this.#needsFloat(instruction),
      csr: () => br(slow),
      system: () => [],
    };
  }

  /** Only where jumps may there be x0. */
  #setX(value: Code, { semantics }: Instruction): Code {
    const code = store('i64.store', this.#byte('rd'), value, X);
    return semantics.at(-1)!.kind === 'jump' ? [code, setSlot64(X, i64(0))] : code;
  }

  #relative(way: NonNullable<Handler['way']>): Code {
    const { slot, target, jump, near, counted } = this.#context;
    if (way === 'far') {
      const address = add64(this.addressOf(slot), this.field('immediate', 'i64.load32_s'));
      return [set(target, address), br(jump)];
    }
    const to = way === 'near' ? near : counted;
    return [set(slot, add32(get(slot), this.field('immediate'))), br(to)];
  }

  #needsFloat(instruction: Instruction): Code {
    const state = and64(slot64(MSTATUS), status.FS);
    return dirtiesFloat(instruction)
      ? brIf(op('i64.ne', state, i64(status.FS)), this.#context.slow)
      : brIf(op('i64.eqz', state), this.#context.slow);
  }

  #float(
    operation: Parameters<BackEnd['float']>[0],
    args: readonly Code[],
    instruction: Instruction,
  ): Code {
    return quickFloat(operation, args, {
      local: (type) => this.#context.pool.take(type),
      nearest: op('i32.eqz', and32(slot32(FCSR), 0xe0)),
      inexact: and32(slot32(FCSR), 1),
      fused: this.#context.fused,
      roundingMode: instruction.fields.has('rm') ? this.#byte('rm') : undefined,
      slow: this.#context.slow,
    });
  }
}
