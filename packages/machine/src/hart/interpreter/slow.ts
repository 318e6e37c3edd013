import {
  atomicFence,
  block,
  br,
  brIf,
  type Code,
  call,
  choose,
  type FunctionScope,
  get,
  i32,
  i64,
  type Local,
  label,
  load,
  op,
  ramLoad,
  ret,
  set,
  store,
  when,
} from '@anole/bytes/wasm';
import type { Instruction } from '../../isa/instruction.ts';
import type { CsrAction, FloatOperation, MemoryUpdate, SystemAction, Width } from '../../isa/ir.ts';
import { type BackEnd, lower } from '../../isa/lower.ts';
import { instructions } from '../../isa/table.ts';
import {
  ACCESS_SIZE,
  CSR_VALUE,
  EXPANSIONS,
  F,
  FAULT,
  FCSR,
  FIRMWARE,
  FLOAT_A,
  FLOAT_B,
  FLOAT_C,
  FLOAT_RESULT,
  MODE,
  MSTATUS,
  PC,
  REMAINING,
  TlbKind,
  X,
} from '../layout.ts';
import { status } from '../status.ts';
import { isReserved, LocalPool, updateAt } from './atomics.ts';
import { type Direct, dispatch } from './dispatch.ts';
import { CODE_BITS, expansions } from './expansions.ts';
import { floatIndex } from './float-index.ts';
import type { Define, Helpers } from './helpers.ts';
import { expansionOffset, immediate32, readF, readX, registerAt } from './operands.ts';
import type { InterpreterOptions } from './options.ts';
import { ramPlace } from './physical.ts';
import { sharedUpdateAt } from './shared-atomics.ts';
import {
  add32,
  add64,
  and32,
  extend,
  isSet64,
  or64,
  setSlot32,
  setSlot64,
  slot32,
  slot64,
} from './slots.ts';

/** Causes of exceptions (Privileged spec, "mcause values"). */
const ILLEGAL = 2;
const BREAKPOINT = 3;
const ECALL_FROM_U = 8;

const actions: Readonly<Record<CsrAction, number>> = { write: 0, set: 1, clear: 2 };

/** One instruction with all that may happen: faults, devices, CSRs, exact floating point. */
export function defineSlow(define: Define, helpers: Helpers, { shared }: InterpreterOptions): void {
  define('slow', (scope) => new SlowStep(scope, helpers, shared).code());
}

class SlowStep {
  readonly #helpers: Helpers;
  readonly #shared: boolean;
  readonly #pc: Local;
  readonly #next: Local;
  readonly #word: Local;
  /** The instruction as it is in memory: what mtval gets when it is illegal. */
  readonly #raw: Local;
  readonly #physical: Local;
  readonly #mode: Local;
  readonly #illegal = label('illegal');
  readonly #done = label('done');
  readonly #pool: LocalPool;

  constructor(scope: FunctionScope, helpers: Helpers, shared: boolean) {
    this.#helpers = helpers;
    this.#shared = shared;
    this.#pc = scope.local('i64');
    this.#next = scope.local('i64');
    this.#word = scope.local('i32');
    this.#raw = scope.local('i32');
    this.#physical = scope.local('i64');
    this.#mode = scope.local('i32');
    this.#pool = new LocalPool((type) => scope.local(type));
  }

  code(): Code {
    return [
      setSlot32(FAULT, i32(0)),
      setSlot32(ACCESS_SIZE, i32(2)),
      setSlot32(REMAINING, op('i32.sub', slot32(REMAINING), i32(1))),
      set(this.#pc, slot64(PC)),
      block(
        this.#illegal,
        block(
          this.#done,
          this.#fetch(),
          dispatch(
            instructions,
            this.#word,
            this.#illegal,
            (each) => this.#handler(each),
            (direct) => this.#expanded(direct),
          ),
        ),
        setSlot64(PC, get(this.#next)),
        ret(),
      ),
      call(this.#helpers.trap, i32(ILLEGAL), extend(get(this.#raw))),
    ];
  }

  /** Reads by halves: the second may lie on another page, whose fault names its address. */
  #fetch(): Code {
    const half = (address: Code): Code => [
      set(this.#physical, call(this.#helpers.translate, address, i32(TlbKind.fetch))),
      when(op('i64.eq', get(this.#physical), i64(-1)), ret()),
      ramLoad('i32.load16_u', ramPlace(get(this.#physical))),
    ];
    return [
      set(this.#raw, half(get(this.#pc))),
      when(
        op('i32.eq', and32(get(this.#raw), 3), i32(3)),
        [
          set(
            this.#raw,
            op(
              'i32.or',
              get(this.#raw),
              op('i32.shl', half(add64(get(this.#pc), i64(2))), i32(16)),
            ),
          ),
          set(this.#word, get(this.#raw)),
          set(this.#next, add64(get(this.#pc), i64(4))),
        ],
        [
          set(this.#word, load('i32.load', expansionOffset(this.#raw), EXPANSIONS)),
          set(this.#next, add64(get(this.#pc), i64(2))),
        ],
      ),
    ];
  }

  /** What compressed instructions stand for is found by its code. */
  #expanded(direct: Direct): Code {
    return when(
      op('i32.ne', and32(get(this.#raw), 3), i32(3)),
      direct(and32(get(this.#word), CODE_BITS), expansions().instructions),
    );
  }

  #handler(instruction: Instruction): Code {
    this.#pool.reset();
    return [lower(instruction.semantics, this.#backEnd(instruction)), br(this.#done)];
  }

  #backEnd(instruction: Instruction): BackEnd {
    const word = this.#word;
    return {
      local: (type) => this.#pool.take(type),
      x: (operand) => readX(word, operand),
      f: (operand) => readF(word, operand),
      immediate: () => op('i64.extend_i32_s', immediate32(word, instruction)),
      pc: () => get(this.#pc),
      next: () => get(this.#next),
      load: (width, signed, address) => this.#load(width, signed, address),
      update: (update, address, value) => this.#update(update, address, value),
      float: (operation, args) => this.#float(operation, args, instruction),
      setX: (value) => [store('i64.store', registerAt(word, 'rd'), value, X), setSlot64(X, i64(0))],
      setF: (value) => [
        store('i64.store', registerAt(word, 'rd'), value, F),
        setSlot64(MSTATUS, or64(slot64(MSTATUS), i64(status.FS))),
      ],
      store: (width, address, value) => [
        call(this.#helpers.store, address, i32(width), value),
        this.#leaveAfterFault(),
      ],
      jump: (target) => set(this.#next, target),
      jumpRelative: () =>
        set(
          this.#next,
          add64(get(this.#pc), op('i64.extend_i32_s', immediate32(word, instruction))),
        ),
      branch: (condition) =>
        when(
          condition,
          set(
            this.#next,
            add64(get(this.#pc), op('i64.extend_i32_s', immediate32(word, instruction))),
          ),
        ),
      needsFloat: () => brIf(op('i32.eqz', isSet64(slot64(MSTATUS), status.FS)), this.#illegal),
      csr: (action, source) => this.#csr(action, source),
      system: (action) => this.#system(action),
    };
  }

  #leaveAfterFault(): Code {
    return when(slot32(FAULT), ret());
  }

  #load(width: Width, signed: boolean, address: Code): Code {
    const value = this.#pool.take('i64');
    const extensions = { 1: 'i64.extend8_s', 2: 'i64.extend16_s', 4: 'i64.extend32_s' } as const;
    return [
      set(value, call(this.#helpers.load, address, i32(width))),
      this.#leaveAfterFault(),
      signed && width !== 8 ? op(extensions[width], get(value)) : get(value),
    ];
  }

  #update(update: MemoryUpdate, address: Code, value: Code): Code {
    const locals = {
      address: this.#pool.take('i64'),
      place: this.#pool.take('i32'),
      operand: this.#pool.take('i64'),
      old: this.#pool.take('i64'),
    };
    const kind = update.kind === 'loadReserved' ? TlbKind.read : TlbKind.write;
    const prepare = [
      set(locals.address, address),
      update.kind === 'loadReserved' ? [] : set(locals.operand, value),
    ];
    const proceed = [
      set(
        locals.place,
        call(this.#helpers.atomicPlace, get(locals.address), i32(update.width), i32(kind)),
      ),
      this.#leaveAfterFault(),
      this.#shared ? sharedUpdateAt(update, locals) : updateAt(update, locals),
    ];
    if (update.kind !== 'storeConditional') return [prepare, proceed];
    return [prepare, choose('i64', isReserved(locals.address), proceed, i64(1))];
  }

  #float(operation: FloatOperation, args: readonly Code[], instruction: Instruction): Code {
    const slots = [FLOAT_A, FLOAT_B, FLOAT_C];
    return [
      this.#roundingMode(instruction),
      args.map((arg, index) => setSlot64(slots[index]!, arg)),
      call(this.#helpers.float, i32(floatIndex(operation)), get(this.#mode)),
      slot64(FLOAT_RESULT),
    ];
  }

  /** Leaves it in `mode`. Reserved ones, also when frm holds them, are illegal. */
  #roundingMode(instruction: Instruction): Code {
    if (!instruction.fields.has('rm')) return set(this.#mode, i32(0));
    return [
      set(this.#mode, and32(op('i32.shr_u', get(this.#word), i32(12)), 7)),
      when(
        op('i32.eq', get(this.#mode), i32(7)),
        set(this.#mode, op('i32.shr_u', slot32(FCSR), i32(5))),
      ),
      brIf(op('i32.gt_u', get(this.#mode), i32(4)), this.#illegal),
    ];
  }

  /**
   * csrrw does not read where rd is x0; csrrs and csrrc do not write where the source field is 0
   * (the register's number, not its value).
   */
  #csr(action: CsrAction, source: Code): Code {
    const field = (low: number): Code =>
      op('i32.ne', and32(op('i32.shr_u', get(this.#word), i32(low)), 31), i32(0));
    const reads = action === 'write' ? field(7) : i32(1);
    const writes = action === 'write' ? i32(1) : field(15);
    const number = op('i32.shr_u', get(this.#word), i32(20));
    const code = i32(actions[action]);
    return [
      setSlot64(CSR_VALUE, source),
      when(
        op('i32.eqz', call(this.#helpers.quickCsr, number, code, writes)),
        brIf(op('i32.eqz', call(this.#helpers.csr, number, code, reads, writes)), this.#illegal),
      ),
      store('i64.store', registerAt(this.#word, 'rd'), slot64(CSR_VALUE), X),
      setSlot64(X, i64(0)),
    ];
  }

  #system(action: SystemAction): Code {
    switch (action) {
      case 'ecall':
        return [
          when(op('i32.and', slot32(FIRMWARE), op('i32.eq', slot32(MODE), i32(1))), [
            call(this.#helpers.firmware),
            ret(),
          ]),
          call(this.#helpers.trap, add32(i32(ECALL_FROM_U), slot32(MODE)), i64(0)),
          ret(),
        ];
      case 'ebreak':
        return [call(this.#helpers.trap, i32(BREAKPOINT), get(this.#pc)), ret()];
      case 'mret':
        return [this.#needs(3), call(this.#helpers.returnFromM), ret()];
      case 'sret':
        return [
          this.#needs(1),
          this.#trappedBy(status.TSR),
          call(this.#helpers.returnFromS),
          ret(),
        ];
      case 'wfi':
        return [this.#needs(1), this.#trappedBy(status.TW), call(this.#helpers.wait)];
      case 'sfence.vma':
        return [this.#needs(1), this.#trappedBy(status.TVM), this.#fence()];
      case 'fence':
        return this.#shared ? atomicFence : [];
      case 'fence.i':
        return this.#shared ? call(this.#helpers.fenceCode) : [];
    }
  }

  #needs(mode: number): Code {
    return brIf(op('i32.lt_u', slot32(MODE), i32(mode)), this.#illegal);
  }

  /** Illegal in S where a bit of mstatus says so. */
  #trappedBy(bit: bigint): Code {
    return brIf(
      op('i32.and', op('i32.eq', slot32(MODE), i32(1)), isSet64(slot64(MSTATUS), bit)),
      this.#illegal,
    );
  }

  /** Of a page, of all pages of an address space (of any: they are not told apart), or of all. */
  #fence(): Code {
    const field = (low: number): Code => and32(op('i32.shr_u', get(this.#word), i32(low)), 31);
    return when(
      field(15),
      call(this.#helpers.flushPage, readX(this.#word, 'rs1')),
      when(field(20), call(this.#helpers.flushSpace), call(this.#helpers.flushAll)),
    );
  }
}
