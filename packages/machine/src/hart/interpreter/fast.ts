import type { Instruction } from '../../isa/instruction.ts';
import type { FloatOperation, MemoryUpdate, SystemAction, Width } from '../../isa/ir.ts';
import { type BackEnd, lower } from '../../isa/lower.ts';
import { instructions } from '../../isa/table.ts';
import {
  block,
  br,
  brIf,
  type Code,
  choose,
  get,
  i32,
  i64,
  type Local,
  label,
  load,
  loop,
  op,
  ret,
  set,
  store,
  when,
} from '../../wasm/code.ts';
import type { FunctionScope } from '../../wasm/module.ts';
import type { MemoryOperator, ValueType } from '../../wasm/opcodes.ts';
import {
  DATA_MODE,
  EXPANSIONS,
  F,
  FCSR,
  FETCH_MODE,
  MSTATUS,
  PC,
  REMAINING,
  TLB_BYTES,
  TlbKind,
  tlbOf,
  X,
} from '../layout.ts';
import { status } from '../status.ts';
import { isReserved, LocalPool, updateAt } from './atomics.ts';
import { dispatch } from './dispatch.ts';
import type { Define } from './helpers.ts';
import { branchOffset, immediate32, readF, readX, registerAt } from './operands.ts';
import { quickFloat } from './quick/quick-float.ts';
import {
  add32,
  add64,
  and32,
  and64,
  extend,
  setSlot32,
  setSlot64,
  slot32,
  slot64,
  wrap,
} from './slots.ts';

/**
 * The fast loop: executes instructions while the TLB answers and nothing unusual happens, and
 * calls no function, so that the compiler may keep everything in registers. It leaves before the
 * first instruction that needs more, having changed nothing of that instruction's; `slow` does it.
 *
 * @param fused whether relaxed_madd rounds once, see {@link ./fused.ts}.
 */
export function defineFast(define: Define, fused: boolean): void {
  define('fast', (scope) => new FastLoop(scope, fused).code());
}

class FastLoop {
  /** Place of this instruction, of the next one, and the last place that holds 4 bytes of the page. */
  readonly #ip: Local;
  readonly #next: Local;
  readonly #limit: Local;
  /** What to add to a place to get the guest's address. */
  readonly #delta: Local;
  readonly #word: Local;
  readonly #remaining: Local;
  readonly #target: Local;
  readonly #entry: Local;
  readonly #tables: Readonly<Record<'fetch' | 'read' | 'write', Local>>;
  /** Whether mstatus.FS is dirty, frm is RNE, and NX is set: they change only in `slow`. */
  readonly #float: Readonly<Record<'on' | 'nearest' | 'inexact', Local>>;
  readonly #fused: boolean;
  readonly #slow = label('slow');
  readonly #continue = label('next instruction');
  readonly #jump = label('jump to target');
  readonly #taken = label('taken branch');
  readonly #pool: LocalPool;

  constructor(scope: FunctionScope, fused: boolean) {
    this.#ip = scope.local('i32');
    this.#next = scope.local('i32');
    this.#limit = scope.local('i32');
    this.#delta = scope.local('i64');
    this.#word = scope.local('i32');
    this.#remaining = scope.local('i32');
    this.#target = scope.local('i64');
    this.#entry = scope.local('i32');
    this.#tables = {
      fetch: scope.local('i32'),
      read: scope.local('i32'),
      write: scope.local('i32'),
    };
    this.#float = {
      on: scope.local('i32'),
      nearest: scope.local('i32'),
      inexact: scope.local('i32'),
    };
    this.#fused = fused;
    this.#pool = new LocalPool((type) => scope.local(type));
  }

  code(): Code {
    const budget = label('budget');
    return [
      this.#enter(),
      block(
        budget,
        block(
          this.#slow,
          loop(
            this.#jump,
            this.#fetchPage(),
            loop(
              this.#continue,
              set(this.#ip, get(this.#next)),
              brIf(op('i32.eqz', get(this.#remaining)), budget),
              set(this.#remaining, op('i32.sub', get(this.#remaining), i32(1))),
              brIf(op('i32.gt_u', get(this.#ip), get(this.#limit)), this.#slow),
              set(this.#word, load('i32.load', get(this.#ip))),
              block(
                this.#taken,
                dispatch(
                  instructions,
                  this.#word,
                  this.#slow,
                  (each) => this.#handler(each),
                  (direct) => this.#decodeLength(direct),
                ),
              ),
              this.#takeBranch(),
            ),
          ),
        ),
        setSlot32(REMAINING, add32(get(this.#remaining), i32(1))),
        setSlot64(PC, this.#pc()),
        ret(i32(1)),
      ),
      setSlot32(REMAINING, i32(0)),
      setSlot64(PC, this.#pc()),
      i32(0),
    ];
  }

  #enter(): Code {
    const tableOf = (kind: number, mode: number): Code =>
      add32(i32(tlbOf(kind)), op('i32.mul', slot32(mode), i32(TLB_BYTES)));
    const on = op('i64.eq', and64(slot64(MSTATUS), status.FS), i64(status.FS));
    return [
      set(this.#tables.fetch, tableOf(TlbKind.fetch, FETCH_MODE)),
      set(this.#tables.read, tableOf(TlbKind.read, DATA_MODE)),
      set(this.#tables.write, tableOf(TlbKind.write, DATA_MODE)),
      set(this.#float.on, on),
      set(this.#float.nearest, op('i32.eqz', and32(slot32(FCSR), 0xe0))),
      set(this.#float.inexact, and32(slot32(FCSR), 1)),
      set(this.#remaining, slot32(REMAINING)),
      set(this.#target, slot64(PC)),
    ];
  }

  /** Resolves `target` by the fetch TLB. */
  #fetchPage(): Code {
    const miss = op('i64.ne', load('i64.load', get(this.#entry)), and64(get(this.#target), -4096));
    return [
      set(this.#entry, entryOf(this.#tables.fetch, get(this.#target))),
      when(miss, [
        setSlot32(REMAINING, get(this.#remaining)),
        setSlot64(PC, get(this.#target)),
        ret(op('i32.ne', get(this.#remaining), i32(0))),
      ]),
      set(this.#next, add32(wrap(get(this.#target)), load('i32.load', get(this.#entry), 8))),
      set(this.#delta, op('i64.sub', get(this.#target), extend(get(this.#next)))),
      set(this.#limit, op('i32.sub', op('i32.or', get(this.#next), i32(4095)), i32(3))),
    ];
  }

  /** Compressed instructions find their expansion and its handler in a table. */
  #decodeLength(direct: (index: Code) => Code): Code {
    const half = and32(get(this.#word), 0xffff);
    return [
      when(op('i32.ne', and32(get(this.#word), 3), i32(3)), [
        set(this.#next, add32(get(this.#ip), i32(2))),
        set(this.#entry, op('i32.shl', half, i32(3))),
        set(this.#word, load('i32.load', get(this.#entry), EXPANSIONS)),
        direct(load('i32.load', get(this.#entry), EXPANSIONS + 4)),
      ]),
      set(this.#next, add32(get(this.#ip), i32(4))),
    ];
  }

  /** Shared end of all branches that are taken. */
  #takeBranch(): Code {
    return this.#relative(branchOffset(this.#word));
  }

  /** To ip + offset: at once within the page, else by the TLB. */
  #relative(offset: Code): Code {
    return [
      set(this.#entry, offset),
      set(this.#next, add32(get(this.#ip), get(this.#entry))),
      brIf(
        op('i32.lt_u', op('i32.xor', get(this.#next), get(this.#ip)), i32(4096)),
        this.#continue,
      ),
      set(this.#target, add64(this.#pc(), op('i64.extend_i32_s', get(this.#entry)))),
      br(this.#jump),
    ];
  }

  #pc(): Code {
    return add64(extend(get(this.#ip)), get(this.#delta));
  }

  #handler(instruction: Instruction): Code {
    this.#pool.reset();
    const code = lower(instruction.semantics, this.#backEnd(instruction));
    return [code, br(this.#continue)];
  }

  #backEnd(instruction: Instruction): BackEnd {
    const word = this.#word;
    return {
      local: (type: ValueType) => this.#pool.take(type),
      x: (operand) => readX(word, operand),
      f: (operand) => readF(word, operand),
      immediate: () => op('i64.extend_i32_s', immediate32(word, instruction)),
      pc: () => this.#pc(),
      next: () => add64(extend(get(this.#next)), get(this.#delta)),
      load: (width, signed, address) => this.#load(width, signed, address),
      update: (update, address, value) => this.#update(update, address, value),
      float: (operation, args) => this.#floatOperation(operation, args, instruction),
      setX: (value) => [store('i64.store', registerAt(word, 'rd'), value, X), setSlot64(X, i64(0))],
      setF: (value) => store('i64.store', registerAt(word, 'rd'), value, F),
      store: (width, address, value) => this.#store(width, address, value),
      jump: (target) => [set(this.#target, target), br(this.#jump)],
      jumpRelative: () => this.#relative(immediate32(word, instruction)),
      branch: (condition) => [brIf(condition, this.#taken), br(this.#continue)],
      needsFloat: () => brIf(op('i32.eqz', get(this.#float.on)), this.#slow),
      csr: (_action, source) => [source, op('drop'), br(this.#slow)],
      system: (action) => this.#system(action),
    };
  }

  #system(action: SystemAction): Code {
    return action === 'fence' || action === 'fence.i' ? [] : br(this.#slow);
  }

  /** Place of `address` in this memory, or off to `slow`. Misaligned ones differ in the tag. */
  #place(table: Local, address: Code, width: Width): Code {
    const at = this.#pool.take('i64');
    const tag = and64(get(at), BigInt(-4096 | (width - 1)));
    return [
      set(at, address),
      set(this.#entry, entryOf(table, get(at))),
      brIf(op('i64.ne', load('i64.load', get(this.#entry)), tag), this.#slow),
      add32(wrap(get(at)), load('i32.load', get(this.#entry), 8)),
    ];
  }

  #load(width: Width, signed: boolean, address: Code): Code {
    const name = (
      width === 8 ? 'i64.load' : `i64.load${width * 8}_${signed ? 's' : 'u'}`
    ) as MemoryOperator;
    return load(name, this.#place(this.#tables.read, address, width));
  }

  #store(width: Width, address: Code, value: Code): Code {
    const name = (width === 8 ? 'i64.store' : `i64.store${width * 8}`) as MemoryOperator;
    return store(name, this.#place(this.#tables.write, address, width), value);
  }

  #update(update: MemoryUpdate, address: Code, value: Code): Code {
    const locals = {
      address: this.#pool.take('i64'),
      place: this.#pool.take('i32'),
      operand: this.#pool.take('i64'),
      old: this.#pool.take('i64'),
    };
    const table = update.kind === 'loadReserved' ? this.#tables.read : this.#tables.write;
    const prepare = [
      set(locals.address, address),
      update.kind === 'loadReserved' ? [] : set(locals.operand, value),
    ];
    const proceed = [
      set(locals.place, this.#place(table, get(locals.address), update.width)),
      updateAt(update, locals),
    ];
    if (update.kind !== 'storeConditional') return [prepare, proceed];
    return [prepare, choose('i64', isReserved(locals.address), proceed, i64(1))];
  }

  #floatOperation(
    operation: FloatOperation,
    args: readonly Code[],
    instruction: Instruction,
  ): Code {
    return quickFloat(operation, args, {
      local: (type) => this.#pool.take(type),
      nearest: this.#float.nearest,
      inexact: this.#float.inexact,
      fused: this.#fused,
      roundingMode: instruction.fields.has('rm')
        ? and32(op('i32.shr_u', get(this.#word), i32(12)), 7)
        : undefined,
      slow: this.#slow,
    });
  }
}

function entryOf(table: Local, address: Code): Code {
  const index = and32(wrap(op('i64.shr_u', address, i64(8))), TLB_BYTES - 16);
  return add32(get(table), index);
}
