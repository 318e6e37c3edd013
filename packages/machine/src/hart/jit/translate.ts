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
  type Label,
  type Local,
  label,
  load,
  op,
  set,
  tailCall,
  when,
} from '@anole/bytes/wasm';
import { dirtiesFloat } from '../../isa/instruction.ts';
import type { CsrAction, FloatOperation } from '../../isa/ir.ts';
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
import { entryOf, TlbAccess, tableOf } from '../interpreter/tlb-access.ts';
import { DATA_MODE, F, FCSR, FETCH_MODE, MSTATUS, PC, REMAINING, TlbKind, X } from '../layout.ts';
import { status } from '../status.ts';
import { accessCsr } from './csrs.ts';
import { FLOATS, fieldOf, Liveness, type RegisterField } from './liveness.ts';
import { Outcome } from './lookup.ts';
import { type Block, pagesOf, type Region } from './region.ts';
import { flowOf, type Step } from './step.ts';
import { Structure } from './structure.ts';

/** A region, and where its pages lie in this memory. */
export interface PlacedRegion extends Region {
  readonly places: ReadonlyMap<number, number>;
}

export interface TranslateOptions {
  /** Body of the function that goes to other compiled code, see {@link ./lookup.ts}. */
  readonly chain: FunctionRef;
  /** See {@link ../interpreter/fused.ts}. */
  readonly fused: boolean;
  /** Whether other harts work on the same RAM. */
  readonly shared: boolean;
}

/** Body of a function of `compiledSignature` that does what `region` says. */
export function translate(
  region: PlacedRegion,
  scope: FunctionScope,
  options: TranslateOptions,
): Code {
  return new Translator(region, scope, options).code();
}

/** Where the local `leaving` has its parts: outcome, instructions not executed, half the offset. */
const REFUND = 2;
const OFFSET = 11;
const MAX_REFUND = 511;

/** A way out of a block, with registers to be written back on it, and on those around it. */
interface Exit {
  readonly label: Label;
  readonly registers: readonly number[];
}

/**
 * Registers that the region names are in locals: loaded at the entry as far as they are needed, and
 * written back where the region is left as far as they may have changed, see {@link ./liveness.ts}.
 * An instruction that may leave in its middle says beforehand, in `leaving`, where it is and what was
 * counted too much. Addresses
 * are offsets from `base`, the virtual address of the page: the same code serves all of its
 * mappings.
 */
class Translator {
  readonly #region: PlacedRegion;
  readonly #scope: FunctionScope;
  readonly #options: TranslateOptions;
  readonly #remaining: Local;
  readonly #base: Local;
  readonly #target: Local;
  readonly #leaving: Local;
  /** Bits of the pages whose translation was looked at. */
  readonly #known: Local;
  readonly #read: Local;
  readonly #write: Local;
  readonly #float: Readonly<Record<'on' | 'dirty' | 'nearest' | 'inexact', Local>>;
  readonly #registers: (Local | undefined)[] = [];
  readonly #liveness: Liveness;
  /** Of the block at hand, the outermost first; and what it wrote since the last of them. */
  #exits: Exit[] = [];
  #fresh = new Set<number>();
  /** Dirty at this point. */
  #dirty = new Set<number>();
  readonly #pool: LocalPool;
  readonly #access: TlbAccess;
  readonly #leave = label('leave');
  readonly #chain = label('chain');
  readonly #structure: Structure;
  #hasFloats = false;
  /**
   * The instruction at hand, the block it is in, how many of its block's are not executed before it,
   * and whether it may leave in its middle.
   */
  #at!: {
    readonly index: number;
    readonly step: Step;
    readonly refund: number;
    leaves: boolean;
  };
  readonly #backEnd: BackEnd;

  constructor(region: PlacedRegion, scope: FunctionScope, options: TranslateOptions) {
    this.#region = region;
    this.#scope = scope;
    this.#options = options;
    // The pc is wanted only once: its local becomes the base.
    [this.#base, this.#remaining] = scope.params as [Local, Local];
    this.#target = scope.local('i64');
    this.#leaving = scope.local('i32');
    this.#known = scope.local('i32');
    this.#read = scope.local('i32');
    this.#write = scope.local('i32');
    this.#float = {
      on: scope.local('i32'),
      dirty: scope.local('i32'),
      nearest: scope.local('i32'),
      inexact: scope.local('i32'),
    };
    this.#pool = new LocalPool((type) => scope.local(type));
    const slow = (): Label => this.#slow();
    this.#access = new TlbAccess({
      pool: this.#pool,
      read: this.#read,
      write: this.#write,
      entry: scope.local('i32'),
      get slow() {
        return slow();
      },
      shared: options.shared,
    });
    this.#liveness = new Liveness(region);
    this.#backEnd = this.#createBackEnd();
    const ways = ({ follow, taken, back }: Block): number[] =>
      [follow, taken, back].filter((way) => way !== undefined);
    this.#structure = new Structure(region.blocks.map(ways), region.entries, scope.local('i32'));
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
      block(
        this.#leave,
        block(this.#chain, body),
        tailCall(this.#options.chain, get(this.#target), get(this.#remaining)),
      ),
      setSlot64(PC, add64(get(this.#base), op('i64.extend_i32_s', this.#leavingOffset()))),
      setSlot32(
        REMAINING,
        add32(
          get(this.#remaining),
          and32(op('i32.shr_u', get(this.#leaving), i32(REFUND)), MAX_REFUND),
        ),
      ),
      and32(get(this.#leaving), 3),
    ];
  }

  /** To the entry whose offset `leaving` holds. */
  #enter(): Code {
    const { entries, blocks } = this.#region;
    return entries.map((at, index) => {
      const loads = this.#liveness
        .loads(at)
        .map((number) => set(this.#register(number), slot64(slotOf(number))));
      const enter = [loads, this.#structure.enter(at)];
      const isLast = index === entries.length - 1;
      const isMeant = op('i32.eq', get(this.#leaving), i32(blocks[at]!.offset));
      return isLast ? enter : when(isMeant, enter);
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

  #writeBack(registers: Iterable<number>): Code {
    return [...registers].map((number) => setSlot64(slotOf(number), get(this.#register(number))));
  }

  /** Where the instruction at hand leaves to, nothing of it done. */
  #slow(): Label {
    if (this.#fresh.size > 0) {
      this.#exits.push({ label: label('leave'), registers: [...this.#fresh] });
      this.#fresh.clear();
    }
    return this.#exits.at(-1)!.label;
  }

  #block(index: number): Code {
    const { steps, next, offset, follow } = this.#region.blocks[index]!;
    const count = steps.length;
    const ends = flowOf(steps.at(-1)!.instruction) !== 'next';
    this.#dirty = new Set(this.#liveness.dirty[index]);
    this.#exits = [{ label: label('leave'), registers: [...this.#dirty] }];
    this.#fresh.clear();
    const body = [
      this.#mayLeave(offset, 0, Outcome.short),
      brIf(op('i32.lt_u', get(this.#remaining), i32(count)), this.#slow()),
      set(this.#remaining, op('i32.sub', get(this.#remaining), i32(count))),
      steps.map((step, done) => this.#step(index, step, count - done)),
      ends ? [] : this.#goTo(index, follow, next),
    ];
    const code = this.#exits.reduceRight<Code>(
      (inner, exit) => [block(exit.label, inner), this.#writeBack(exit.registers)],
      body,
    );
    return [code, br(this.#leave)];
  }

  #mayLeave(offset: number, refund: number, outcome: number): Code {
    return set(this.#leaving, i32(((offset >> 1) << OFFSET) | (refund << REFUND) | outcome));
  }

  #leavingOffset(): Code {
    return op('i32.shl', op('i32.shr_s', get(this.#leaving), i32(OFFSET)), i32(1));
  }

  #step(index: number, step: Step, refund: number): Code {
    this.#pool.reset();
    this.#at = { index, step, refund, leaves: false };
    const code = lower(step.instruction.semantics, this.#backEnd);
    return this.#at.leaves ? [this.#mayLeave(step.offset, refund, Outcome.slow), code] : code;
  }

  /** From a block to another one, or, where there is none, to an offset outside of the region. */
  #goTo(from: number, to: number | undefined, offset: number): Code {
    const chain = this.#chainTo(this.#address(offset));
    if (to === undefined) return chain;
    const { blocks } = this.#region;
    const here = pagesOf(blocks[from]!);
    const others = pagesOf(blocks[to]!).filter((page) => page !== 0 && !here.includes(page));
    const guards = others.map((page) => this.#guard(page, chain));
    return [guards, this.#structure.edge(from, to)];
  }

  /** Another page is entered only where the fetch TLB has it, and has it where it was. */
  #guard(page: number, otherwise: Code): Code {
    const bit = 1 << this.#region.pages.indexOf(page);
    const entry = this.#pool.take('i32');
    const start = this.#address(page << 12);
    const place = this.#region.places.get(page)!;
    return when(op('i32.eqz', and32(get(this.#known), bit)), [
      set(entry, tableOf(TlbKind.fetch, FETCH_MODE)),
      set(entry, entryOf(entry, start)),
      when(op('i64.ne', load('i64.load', get(entry)), start), otherwise),
      when(
        op('i32.ne', add32(wrap(start), load('i32.load', get(entry), 8)), i32(place)),
        otherwise,
      ),
      set(this.#known, op('i32.or', get(this.#known), i32(bit))),
    ]);
  }

  #address(offset: number): Code {
    return offset === 0 ? get(this.#base) : add64(get(this.#base), i64(offset));
  }

  /** For the instruction at hand. */
  #createBackEnd(): BackEnd {
    const access = this.#access;
    return {
      local: (type) => this.#pool.take(type),
      x: (operand) =>
        this.#field(operand) === 0 ? ZERO : get(this.#register(this.#field(operand))),
      f: (operand) => get(this.#register(FLOATS + this.#field(operand))),
      immediate: () => i64(this.#at.step.immediate),
      pc: () => this.#address(this.#at.step.offset),
      next: () => this.#address(this.#at.step.offset + this.#at.step.size),
      load: (width, signed, address) => {
        this.#at.leaves = true;
        return access.load(width, signed, address);
      },
      update: (update, address, value) => {
        this.#at.leaves = true;
        return access.update(update, address, value);
      },
      float: (operation, args) => this.#floatOperation(operation, args),
      setX: (value) =>
        this.#field('rd') === 0 ? [value, DROP] : this.#setRegister(this.#field('rd'), value),
      setF: (value) => this.#setRegister(FLOATS + this.#field('rd'), value),
      store: (width, address, value) => {
        this.#at.leaves = true;
        return access.store(width, address, value);
      },
      jump: (target) => this.#jump(target),
      jumpRelative: () => this.#goTo(this.#at.index, this.#here.taken, this.#here.target!),
      branch: (condition) => [
        when(condition, this.#goTo(this.#at.index, this.#here.taken, this.#here.target!)),
        this.#goTo(this.#at.index, this.#here.follow, this.#here.next),
      ],
      needsFloat: () => {
        this.#at.leaves = true;
        this.#hasFloats = true;
        const { on, dirty } = this.#float;
        const wanted = dirtiesFloat(this.#at.step.instruction) ? dirty : on;
        return brIf(op('i32.eqz', get(wanted)), this.#slow());
      },
      csr: (action, source) => this.#csr(action, source),
      // No region has others than fences.
      system: () => (this.#options.shared ? atomicFence : []),
    };
  }

  get #here(): Block {
    return this.#region.blocks[this.#at.index]!;
  }

  #field(name: RegisterField): number {
    return fieldOf(this.#at.step, name);
  }

  #csr(action: CsrAction, source: Code): Code {
    this.#at.leaves = true;
    const { step, refund } = this.#at;
    const rd = this.#field('rd');
    const access = {
      number: step.word >>> 20,
      action,
      writes: action === 'write' || this.#field('rs1') !== 0,
      source,
    };
    return accessCsr(access, {
      old: this.#pool.take('i64'),
      value: this.#pool.take('i64'),
      read: this.#read,
      write: this.#write,
      leave: this.#slow(),
      interrupt: () => [
        this.#mayLeave(step.offset + step.size, refund - 1, Outcome.interrupt),
        br(this.#slow()),
      ],
      setResult: (value) => (rd === 0 ? [] : this.#setRegister(rd, value)),
    });
  }

  #floatOperation(operation: FloatOperation, args: readonly Code[]): Code {
    this.#at.leaves = true;
    const { instruction, word } = this.#at.step;
    return quickFloat(operation, args, {
      local: (type) => this.#pool.take(type),
      nearest: this.#float.nearest,
      inexact: this.#float.inexact,
      fused: this.#options.fused,
      roundingMode: instruction.fields.has('rm') ? i32((word >>> 12) & 7) : undefined,
      slow: this.#slow(),
    });
  }

  /** To an address in a register: known to the region after all, or where a call came from. */
  #jump(address: Code): Code {
    const { index } = this.#at;
    const { target, taken, back } = this.#here;
    if (target !== undefined) return this.#goTo(index, taken, target);
    if (back === undefined) return this.#chainTo(address);
    const { offset } = this.#region.blocks[back]!;
    return [
      set(this.#target, address),
      when(op('i64.eq', get(this.#target), this.#address(offset)), this.#goTo(index, back, offset)),
      this.#chainTo(get(this.#target)),
    ];
  }

  /** To an address outside of the region. */
  #chainTo(address: Code): Code {
    return [set(this.#target, address), this.#writeBack(this.#dirty), br(this.#chain)];
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
    this.#fresh.add(number);
    this.#dirty.add(number);
    return set(this.#register(number), value);
  }
}

const ZERO = i64(0);
const DROP = op('drop');

const slotOf = (number: number): number =>
  number < FLOATS ? X + 8 * number : F + 8 * (number - FLOATS);
