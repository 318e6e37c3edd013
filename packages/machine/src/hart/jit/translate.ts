import {
  atomicFence,
  block,
  br,
  brIf,
  type Code,
  type FunctionRef,
  type FunctionScope,
  get,
  i32,
  i64,
  type Local,
  label,
  op,
  set,
  tailCall,
  when,
} from '@anole/bytes/wasm';
import { dirtiesFloat } from '../../isa/instruction.ts';
import type { SystemAction } from '../../isa/ir.ts';
import type { BackEnd } from '../../isa/lower.ts';
import { lower } from '../../isa/lower.ts';
import { LocalPool } from '../interpreter/atomics.ts';
import { quickFloat } from '../interpreter/quick/quick-float.ts';
import {
  add32,
  add64,
  and32,
  and64,
  isSet64,
  setSlot32,
  setSlot64,
  slot32,
  slot64,
  wrap,
} from '../interpreter/slots.ts';
import { TlbAccess, tableOf } from '../interpreter/tlb-access.ts';
import { DATA_MODE, F, FCSR, MSTATUS, PC, REMAINING, TlbKind, X } from '../layout.ts';
import { status } from '../status.ts';
import { Outcome } from './lookup.ts';
import { type Block, flowOf, links, type Region, type Step, targetOf } from './region.ts';
import { Structure } from './structure.ts';

export interface TranslateOptions {
  /** Body of the function that goes to other compiled code, see {@link ./lookup.ts}. */
  readonly chain: FunctionRef;
  /** See {@link ../interpreter/fused.ts}. */
  readonly fused: boolean;
  /** Whether other harts work on the same RAM. */
  readonly shared: boolean;
}

/** Body of a function of `compiledSignature` that does what `region` says. */
export function translate(region: Region, scope: FunctionScope, options: TranslateOptions): Code {
  return new Translator(region, scope, options).code();
}

/** Where the local `leaving` has its parts: offset in the page, instructions not executed, outcome. */
const REFUND = 12;
const OUTCOME = 28;
/** First number of floating-point registers, where x and f registers are in one list. */
const FLOATS = 32;

/**
 * Registers that the region names are in locals: loaded at the entry, and written back at the two
 * ends, one for chaining and one for leaving to the interpreter. An instruction that may leave in
 * its middle says beforehand, in `leaving`, where it is and what was counted too much. Addresses
 * are offsets from `base`, the virtual address of the page: the same code serves all of its
 * mappings.
 */
class Translator {
  readonly #region: Region;
  readonly #scope: FunctionScope;
  readonly #options: TranslateOptions;
  readonly #remaining: Local;
  readonly #base: Local;
  readonly #target: Local;
  readonly #leaving: Local;
  readonly #read: Local;
  readonly #write: Local;
  readonly #float: Readonly<Record<'on' | 'dirty' | 'nearest' | 'inexact', Local>>;
  readonly #registers: (Local | undefined)[] = [];
  readonly #written = new Set<number>();
  readonly #pool: LocalPool;
  readonly #access: TlbAccess;
  readonly #leave = label('leave');
  readonly #chain = label('chain');
  readonly #structure: Structure;
  readonly #indexes: ReadonlyMap<number, number>;
  #hasFloats = false;

  constructor(region: Region, scope: FunctionScope, options: TranslateOptions) {
    this.#region = region;
    this.#scope = scope;
    this.#options = options;
    // The pc is wanted only once: its local becomes the base.
    [this.#base, this.#remaining] = scope.params as [Local, Local];
    this.#target = scope.local('i64');
    this.#leaving = scope.local('i32');
    this.#read = scope.local('i32');
    this.#write = scope.local('i32');
    this.#float = {
      on: scope.local('i32'),
      dirty: scope.local('i32'),
      nearest: scope.local('i32'),
      inexact: scope.local('i32'),
    };
    this.#pool = new LocalPool((type) => scope.local(type));
    this.#access = new TlbAccess({
      pool: this.#pool,
      read: this.#read,
      write: this.#write,
      entry: scope.local('i32'),
      slow: this.#leave,
      shared: options.shared,
    });
    this.#indexes = new Map(region.blocks.map(({ offset }, index) => [offset, index]));
    this.#structure = new Structure(
      region.blocks.map((each) => this.#successors(each)),
      region.entries.map((offset) => this.#indexes.get(offset)!),
      scope.local('i32'),
    );
  }

  code(): Code {
    const { entries } = this.#region;
    const body = this.#structure.code(this.#enter(), (index) => this.#block(index));
    return [
      entries.length > 1 ? set(this.#leaving, and32(wrap(get(this.#base)), 4095)) : [],
      set(this.#base, and64(get(this.#base), -4096)),
      set(this.#read, tableOf(TlbKind.read, DATA_MODE)),
      set(this.#write, tableOf(TlbKind.write, DATA_MODE)),
      this.#hasFloats ? this.#floatState() : [],
      this.#registers.flatMap((local, number) => [set(local!, slot64(slotOf(number)))]),
      block(
        this.#leave,
        block(this.#chain, body),
        this.#writeBack(),
        tailCall(this.#options.chain, get(this.#target), get(this.#remaining)),
      ),
      this.#writeBack(),
      setSlot64(
        PC,
        add64(get(this.#base), op('i64.extend_i32_u', and32(get(this.#leaving), 4095))),
      ),
      setSlot32(
        REMAINING,
        add32(
          get(this.#remaining),
          and32(op('i32.shr_u', get(this.#leaving), i32(REFUND)), 0xffff),
        ),
      ),
      op('i32.shr_u', get(this.#leaving), i32(OUTCOME)),
    ];
  }

  /** To the entry whose offset `leaving` holds. */
  #enter(): Code {
    const { entries } = this.#region;
    return entries.map((offset, index) => {
      const enter = this.#structure.enter(this.#indexes.get(offset)!);
      const isLast = index === entries.length - 1;
      return isLast ? enter : when(op('i32.eq', get(this.#leaving), i32(offset)), enter);
    });
  }

  #floatState(): Code {
    const dirty = op('i64.eq', and64(slot64(MSTATUS), status.FS), i64(status.FS));
    return [
      set(this.#float.on, isSet64(slot64(MSTATUS), status.FS)),
      set(this.#float.dirty, dirty),
      set(this.#float.nearest, op('i32.eqz', and32(slot32(FCSR), 0xe0))),
      set(this.#float.inexact, and32(slot32(FCSR), 1)),
    ];
  }

  #writeBack(): Code {
    return [...this.#written].map((number) =>
      setSlot64(slotOf(number), get(this.#registers[number]!)),
    );
  }

  #successors({ steps, next }: Block): number[] {
    const last = steps.at(-1)!;
    const flow = flowOf(last.instruction);
    const targets: number[] = [];
    if (flow === 'next' || flow === 'branch') targets.push(next);
    if (flow === 'branch' || (flow === 'jump' && !links(last))) targets.push(targetOf(last));
    return targets.flatMap((offset) => this.#indexes.get(offset) ?? []);
  }

  #block(index: number): Code {
    const { steps, next, offset } = this.#region.blocks[index]!;
    const count = steps.length;
    return [
      this.#mayLeave(offset, 0, Outcome.short),
      brIf(op('i32.lt_u', get(this.#remaining), i32(count)), this.#leave),
      set(this.#remaining, op('i32.sub', get(this.#remaining), i32(count))),
      steps.map((step, done) => this.#step(index, step, count - done)),
      flowOf(steps.at(-1)!.instruction) === 'next' ? this.#goTo(index, next) : [],
    ];
  }

  #mayLeave(offset: number, refund: number, outcome: number): Code {
    return set(this.#leaving, i32(offset | (refund << REFUND) | (outcome << OUTCOME)));
  }

  #step(index: number, step: Step, refund: number): Code {
    this.#pool.reset();
    let leaves = false;
    const backEnd = this.#backEnd(index, step, () => {
      leaves = true;
    });
    const code = lower(step.instruction.semantics, backEnd);
    return leaves ? [this.#mayLeave(step.offset, refund, Outcome.slow), code] : code;
  }

  /** From a block to an offset, which may lie outside of the region or of the page. */
  #goTo(from: number, offset: number): Code {
    const to = this.#indexes.get(offset);
    if (to !== undefined) return this.#structure.edge(from, to);
    return [set(this.#target, this.#address(offset)), br(this.#chain)];
  }

  #address(offset: number): Code {
    return offset === 0 ? get(this.#base) : add64(get(this.#base), i64(offset));
  }

  #backEnd(index: number, step: Step, leaves: () => void): BackEnd {
    const { word, immediate, offset, size } = step;
    const field = (name: keyof typeof positions): number => (word >>> positions[name]) & 31;
    const access = this.#access;
    return {
      local: (type) => this.#pool.take(type),
      x: (operand) => (field(operand) === 0 ? i64(0) : get(this.#register(field(operand)))),
      f: (operand) => get(this.#register(FLOATS + field(operand))),
      immediate: () => i64(immediate),
      pc: () => this.#address(offset),
      next: () => this.#address(offset + size),
      load: (width, signed, address) => {
        leaves();
        return access.load(width, signed, address);
      },
      update: (update, address, value) => {
        leaves();
        return access.update(update, address, value);
      },
      float: (operation, args) => {
        leaves();
        return quickFloat(operation, args, {
          local: (type) => this.#pool.take(type),
          nearest: this.#float.nearest,
          inexact: this.#float.inexact,
          fused: this.#options.fused,
          roundingMode: step.instruction.fields.has('rm') ? i32((word >>> 12) & 7) : undefined,
          slow: this.#leave,
        });
      },
      setX: (value) =>
        field('rd') === 0 ? [value, op('drop')] : this.#setRegister(field('rd'), value),
      setF: (value) => this.#setRegister(FLOATS + field('rd'), value),
      store: (width, address, value) => {
        leaves();
        return access.store(width, address, value);
      },
      jump: (target) => [set(this.#target, target), br(this.#chain)],
      jumpRelative: () =>
        links(step)
          ? [set(this.#target, this.#address(targetOf(step))), br(this.#chain)]
          : this.#goTo(index, targetOf(step)),
      branch: (condition) => [
        when(condition, this.#goTo(index, targetOf(step))),
        this.#goTo(index, offset + size),
      ],
      needsFloat: () => {
        leaves();
        this.#hasFloats = true;
        const { on, dirty } = this.#float;
        return brIf(op('i32.eqz', get(dirtiesFloat(step.instruction) ? dirty : on)), this.#leave);
      },
      csr: () => br(this.#leave),
      system: (action) => this.#system(action),
    };
  }

  /** Others are not in any region. */
  #system(action: SystemAction): Code {
    if (action === 'fence') return this.#options.shared ? atomicFence : [];
    return action === 'fence.i' ? [] : br(this.#leave);
  }

  #register(number: number): Local {
    let local = this.#registers[number];
    if (local === undefined) {
      local = this.#scope.local('i64');
      this.#registers[number] = local;
    }
    return local;
  }

  #setRegister(number: number, value: Code): Code {
    this.#written.add(number);
    return set(this.#register(number), value);
  }
}

const positions = { rd: 7, rs1: 15, rs2: 20, rs3: 27 } as const;

const slotOf = (number: number): number =>
  number < FLOATS ? X + 8 * number : F + 8 * (number - FLOATS);
