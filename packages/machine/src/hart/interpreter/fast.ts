import {
  atomicFence,
  block,
  br,
  brIf,
  type Code,
  type FunctionScope,
  get,
  i32,
  i64,
  type Local,
  label,
  load,
  loop,
  op,
  ramLoad,
  ret,
  set,
  store,
  tee,
  type ValueType,
  when,
} from '@anole/bytes/wasm';
import { dirtiesFloat, type Instruction } from '../../isa/instruction.ts';
import type { FloatOperation, SystemAction } from '../../isa/ir.ts';
import { type BackEnd, lower } from '../../isa/lower.ts';
import { instructions } from '../../isa/table.ts';
import { counterOf, frameOf, jumpEntry } from '../jit/lookup.ts';
import {
  ATTENTION,
  COUNTERS,
  ENTERED,
  EXPANSIONS,
  F,
  FCSR,
  FETCH_MODE,
  JUMPS,
  MSTATUS,
  PC,
  REMAINING,
  THRESHOLD,
  TlbKind,
  WARM_MASK,
  X,
} from '../layout.ts';
import { status } from '../status.ts';
import { LocalPool } from './atomics.ts';
import { type Direct, dispatch } from './dispatch.ts';
import { CODE_BITS, expansions } from './expansions.ts';
import type { Define } from './helpers.ts';
import {
  branchOffset,
  expansionOffset,
  immediate32,
  readF,
  readX,
  registerAt,
} from './operands.ts';
import { decodes, type InterpreterOptions } from './options.ts';
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
import { dataTable, entryOf, TlbAccess, tableOf } from './tlb-access.ts';

/** Why the fast loop leaves. */
export const Fast = {
  /** The end of the budget. */
  done: 0,
  slow: 1,
  /** To enter the compiled code ENTERED. */
  compiled: 2,
  /** The place ENTERED is worth compiling. */
  hot: 3,
  /** The page is decoded. */
  decoded: 4,
  /** The page of the place ENTERED is worth decoding. */
  warm: 5,
} as const;

/**
 * The fast loop: executes instructions while the TLB answers and nothing unusual happens, and
 * calls no function, so that the compiler may keep everything in registers. It leaves before the
 * first instruction that needs more, having changed nothing of that instruction's; `slow` does it.
 *
 * Gives one of {@link Fast}.
 */
export function defineFast(define: Define, options: InterpreterOptions): void {
  define('fast', (scope) => new FastLoop(scope, options).code());
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
  readonly #data: Local;
  readonly #fused: boolean;
  readonly #decodes: boolean;
  readonly #slow = label('slow');
  readonly #continue = label('next instruction');
  readonly #jump = label('jump to target');
  readonly #taken = label('taken branch');
  readonly #pool: LocalPool;
  readonly #access: TlbAccess;
  /** Place of the word that asks the hart to look up; undefined where there is one hart only. */
  readonly #attention: Local | undefined;
  /** Not 0 until the first look for compiled code; undefined where there is none to look for. */
  readonly #skip: Local | undefined;

  constructor(scope: FunctionScope, options: InterpreterOptions) {
    const { fused, compiles, shared } = options;
    this.#decodes = decodes(options);
    this.#attention = shared ? scope.local('i32') : undefined;
    this.#skip = compiles ? scope.params[0] : undefined;
    this.#ip = scope.local('i32');
    this.#next = scope.local('i32');
    this.#limit = scope.local('i32');
    this.#delta = scope.local('i64');
    this.#word = scope.local('i32');
    this.#remaining = scope.local('i32');
    this.#target = scope.local('i64');
    this.#entry = scope.local('i32');
    this.#data = scope.local('i32');
    this.#fused = fused;
    this.#pool = new LocalPool((type) => scope.local(type));
    this.#access = new TlbAccess({
      pool: this.#pool,
      data: this.#data,
      entry: this.#entry,
      slow: this.#slow,
      shared,
    });
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
            this.#lookUp(),
            this.#fetchPage(),
            this.#findCompiled(),
            loop(
              this.#continue,
              set(this.#ip, get(this.#next)),
              brIf(op('i32.eqz', get(this.#remaining)), budget),
              set(this.#remaining, op('i32.sub', get(this.#remaining), i32(1))),
              brIf(op('i32.gt_u', get(this.#ip), get(this.#limit)), this.#slow),
              set(this.#word, ramLoad('i32.load', get(this.#ip))),
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
    return [
      set(this.#data, dataTable),
      set(this.#remaining, slot32(REMAINING)),
      set(this.#target, slot64(PC)),
      this.#attention === undefined ? [] : set(this.#attention, slot32(ATTENTION)),
    ];
  }

  /** Ends the slice where another hart or a device wants something. */
  #lookUp(): Code {
    if (this.#attention === undefined) return [];
    return when(ramLoad('i32.load', get(this.#attention)), [
      setSlot32(REMAINING, get(this.#remaining)),
      setSlot64(PC, get(this.#target)),
      ret(i32(0)),
    ]);
  }

  /** Resolves `target` by the fetch TLB. */
  #fetchPage(): Code {
    const miss = op('i64.ne', load('i64.load', get(this.#entry)), and64(get(this.#target), -4096));
    return [
      set(this.#entry, tableOf(TlbKind.fetch, FETCH_MODE)),
      set(this.#entry, entryOf(this.#entry, get(this.#target))),
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

  /**
   * Leaves where compiled code stands for `next`, or where it was jumped to often enough to be
   * compiled. Not after the first jump with `skip`: then the compiled code wants too many
   * instructions at once.
   */
  #findCompiled(): Code {
    const skip = this.#skip;
    if (skip === undefined) return [];
    const leave = (what: number): Code => [
      setSlot32(REMAINING, get(this.#remaining)),
      setSlot64(PC, get(this.#target)),
      ret(i32(what)),
    ];
    const count = tee(this.#word, add32(load('i32.load', get(this.#entry), COUNTERS), i32(1)));
    const isWarm = op('i32.eqz', op('i32.and', get(this.#word), slot32(WARM_MASK)));
    return when(get(skip), set(skip, i32(0)), [
      this.#decodes ? when(frameOf(this.#next), leave(Fast.decoded)) : [],
      set(this.#entry, jumpEntry(this.#next)),
      when(op('i32.eq', load('i32.load', get(this.#entry), JUMPS), get(this.#next)), [
        setSlot32(ENTERED, load('i32.load', get(this.#entry), JUMPS + 4)),
        leave(Fast.compiled),
      ]),
      set(this.#entry, counterOf(this.#next)),
      store('i32.store', get(this.#entry), count, COUNTERS),
      when(op('i32.ge_u', get(this.#word), slot32(THRESHOLD)), [
        store('i32.store', get(this.#entry), i32(0), COUNTERS),
        setSlot32(ENTERED, get(this.#next)),
        leave(Fast.hot),
      ]),
      this.#decodes ? when(isWarm, [setSlot32(ENTERED, get(this.#next)), leave(Fast.warm)]) : [],
    ]);
  }

  /** Compressed instructions find their expansion and its handler in a table. */
  #decodeLength(direct: Direct): Code {
    return [
      when(op('i32.ne', and32(get(this.#word), 3), i32(3)), [
        set(this.#next, add32(get(this.#ip), i32(2))),
        set(this.#entry, expansionOffset(this.#word)),
        set(this.#word, load('i32.load', get(this.#entry), EXPANSIONS)),
        direct(and32(get(this.#word), CODE_BITS), expansions().instructions),
      ]),
      set(this.#next, add32(get(this.#ip), i32(4))),
    ];
  }

  /** Shared end of all branches that are taken. */
  #takeBranch(): Code {
    return this.#relative(branchOffset(this.#word));
  }

  /** To ip + offset: at once within the page (forward, where code is compiled), else by the TLB. */
  #relative(offset: Code): Code {
    const inPage = op('i32.lt_u', op('i32.xor', get(this.#next), get(this.#ip)), i32(4096));
    const forward = op('i32.gt_s', get(this.#entry), i32(0));
    return [
      set(this.#entry, offset),
      set(this.#next, add32(get(this.#ip), get(this.#entry))),
      brIf(this.#skip === undefined ? inPage : op('i32.and', inPage, forward), this.#continue),
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
      load: (width, signed, address) => this.#access.load(width, signed, address),
      update: (update, address, value) => this.#access.update(update, address, value),
      float: (operation, args) => this.#floatOperation(operation, args, instruction),
      setX: (value) => [store('i64.store', registerAt(word, 'rd'), value, X), setSlot64(X, i64(0))],
      setF: (value) => store('i64.store', registerAt(word, 'rd'), value, F),
      store: (width, address, value) => this.#access.store(width, address, value),
      jump: (target) => [set(this.#target, target), br(this.#jump)],
      jumpRelative: () => this.#relative(immediate32(word, instruction)),
      branch: (condition) => [brIf(condition, this.#taken), br(this.#continue)],
      needsFloat: () => {
        const state = and64(slot64(MSTATUS), status.FS);
        return dirtiesFloat(instruction)
          ? brIf(op('i64.ne', state, i64(status.FS)), this.#slow)
          : brIf(op('i64.eqz', state), this.#slow);
      },
      csr: (_action, source) => [source, op('drop'), br(this.#slow)],
      system: (action) => this.#system(action),
    };
  }

  #system(action: SystemAction): Code {
    const shared = this.#attention !== undefined;
    if (action === 'fence') return shared ? atomicFence : [];
    return action === 'fence.i' && !shared ? [] : br(this.#slow);
  }

  #floatOperation(
    operation: FloatOperation,
    args: readonly Code[],
    instruction: Instruction,
  ): Code {
    return quickFloat(operation, args, {
      local: (type) => this.#pool.take(type),
      nearest: op('i32.eqz', and32(slot32(FCSR), 0xe0)),
      inexact: and32(slot32(FCSR), 1),
      fused: this.#fused,
      roundingMode: instruction.fields.has('rm')
        ? and32(op('i32.shr_u', get(this.#word), i32(12)), 7)
        : undefined,
      slow: this.#slow,
    });
  }
}
