import {
  block,
  br,
  brIf,
  brTable,
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
  ret,
  set,
  store,
  type TypeRef,
  tailCallIndirect,
  when,
} from '@anole/bytes/wasm';
import { LocalPool } from '../interpreter/atomics.ts';
import { add32, and32, and64, setSlot32, setSlot64, slot32, wrap } from '../interpreter/slots.ts';
import { dataTable, entryOf, tableOf } from '../interpreter/tlb-access.ts';
import { frameOf, Outcome } from '../jit/lookup.ts';
import {
  COUNTERS,
  COUNTERS_BYTES,
  ENTERED,
  FETCH_MODE,
  FRAME_BYTES,
  FRAMES,
  PC,
  REMAINING,
  THRESHOLD,
  TlbKind,
} from '../layout.ts';
import { HandlerCode } from './handler-code.ts';
import { handlers } from './handlers.ts';
import { pairs } from './pairs.ts';
import { NUMBER_BITS, Special, STEP_BITS } from './special.ts';

/**
 * Body of a function of `compiledSignature` that executes what is decoded, see {@link ./slots.ts}: like the fast
 * loop, and with the same rules, for pages that have a frame. It goes on in compiled code where that begins.
 */
export function decodedLoop(scope: FunctionScope, fused: boolean, type: TypeRef): Code {
  return new DecodedLoop(scope, fused, type).code();
}

class DecodedLoop {
  readonly #target: Local;
  readonly #remaining: Local;
  /** Place of the slot at hand. */
  readonly #slot: Local;
  /** Its first word; place of the slot that follows, and the first word of that. */
  readonly #word: Local;
  readonly #next: Local;
  readonly #nextWord: Local;
  /** What to add to a quarter of a slot's place to get the guest's address. */
  readonly #delta: Local;
  readonly #data: Local;
  readonly #entry: Local;
  readonly #type: TypeRef;
  readonly #slow = label('slow');
  readonly #budget = label('budget');
  readonly #continue = label('next instruction');
  readonly #near = label('near jump');
  readonly #counted = label('counted jump');
  readonly #jump = label('jump to target');
  readonly #pool: LocalPool;
  readonly #handlers: HandlerCode;

  constructor(scope: FunctionScope, fused: boolean, type: TypeRef) {
    const [target, remaining] = scope.params as [Local, Local];
    this.#target = target;
    this.#remaining = remaining;
    this.#slot = scope.local('i32');
    this.#word = scope.local('i32');
    this.#next = scope.local('i32');
    this.#nextWord = scope.local('i32');
    this.#delta = scope.local('i64');
    this.#data = scope.local('i32');
    this.#entry = scope.local('i32');
    this.#type = type;
    this.#pool = new LocalPool((each) => scope.local(each));
    this.#handlers = new HandlerCode({
      slot: this.#slot,
      next: this.#next,
      delta: this.#delta,
      target,
      data: this.#data,
      entry: this.#entry,
      pool: this.#pool,
      fused,
      slow: this.#slow,
      jump: this.#jump,
      near: this.#near,
      counted: this.#counted,
    });
  }

  code(): Code {
    return [
      set(this.#data, dataTable),
      block(
        this.#budget,
        block(
          this.#slow,
          loop(
            this.#jump,
            this.#findSlot(),
            loop(
              this.#counted,
              this.#count(),
              loop(
                this.#near,
                set(this.#word, load('i32.load', get(this.#slot))),
                loop(this.#continue, this.#spend(), this.#lookAhead(), this.#dispatch()),
              ),
            ),
          ),
        ),
        setSlot32(REMAINING, add32(get(this.#remaining), i32(1))),
        setSlot64(PC, this.#pc()),
        ret(i32(Outcome.slow)),
      ),
      setSlot32(REMAINING, i32(0)),
      setSlot64(PC, this.#pc()),
      i32(Outcome.proceed),
    ];
  }

  #leaveAtTarget(outcome: Code): Code {
    return [
      setSlot32(REMAINING, get(this.#remaining)),
      setSlot64(PC, get(this.#target)),
      ret(outcome),
    ];
  }

  /** Finds the slot of `target` by the fetch TLB. */
  #findSlot(): Code {
    const { proceed, slow } = Outcome;
    const miss = op('i64.ne', load('i64.load', get(this.#entry)), and64(get(this.#target), -4096));
    const slowly = op('select', i32(slow), i32(proceed), get(this.#remaining));
    return [
      this.#findEntry(),
      when(miss, this.#leaveAtTarget(slowly)),
      set(this.#entry, add32(wrap(get(this.#target)), load('i32.load', get(this.#entry), 8))),
      set(this.#entry, frameOf(this.#entry)),
      when(op('i32.eqz', get(this.#entry)), this.#leaveAtTarget(i32(proceed))),
      set(
        this.#slot,
        add32(
          op('i32.mul', get(this.#entry), i32(FRAME_BYTES)),
          op('i32.shl', and32(wrap(get(this.#target)), 4094), i32(2)),
        ),
      ),
      set(this.#slot, add32(get(this.#slot), i32(FRAMES - FRAME_BYTES))),
      set(this.#delta, i64(0)),
      set(this.#delta, op('i64.sub', get(this.#target), this.#pc())),
    ];
  }

  #findEntry(): Code {
    return [
      set(this.#entry, tableOf(TlbKind.fetch, FETCH_MODE)),
      set(this.#entry, entryOf(this.#entry, get(this.#target))),
    ];
  }

  /** Leaves where the slot at hand was jumped to often enough to be compiled. */
  #count(): Code {
    this.#pool.reset();
    const count = this.#pool.take('i32');
    return [
      set(this.#entry, and32(op('i32.shr_u', get(this.#slot), i32(1)), COUNTERS_BYTES - 4)),
      set(count, add32(load('i32.load', get(this.#entry), COUNTERS), i32(1))),
      store('i32.store', get(this.#entry), get(count), COUNTERS),
      when(op('i32.ge_u', get(count), slot32(THRESHOLD)), [
        store('i32.store', get(this.#entry), i32(0), COUNTERS),
        this.#leaveWithPlace(Outcome.hot, 0),
      ]),
    ];
  }

  /** Leaves before the instruction at hand, with its place in ENTERED. `counted`: what is not executed of it. */
  #leaveWithPlace(outcome: number, counted: number): Code {
    const place = add32(wrap(get(this.#target)), load('i32.load', get(this.#entry), 8));
    return [
      set(this.#target, this.#pc()),
      set(this.#remaining, add32(get(this.#remaining), i32(counted))),
      this.#findEntry(),
      setSlot32(ENTERED, place),
      this.#leaveAtTarget(i32(outcome)),
    ];
  }

  #dispatch(): Code {
    const special = Object.keys(Special).map((name) => label(name));
    const labels = handlers.map(({ instruction }) => label(instruction.name));
    const joined = pairs.map(({ first, second }) =>
      label(`${first.instruction.name} ${second.instruction.name}`),
    );
    special[Special.leave] = this.#slow;
    let code: Code = brTable(
      and32(get(this.#word), NUMBER_BITS),
      [...special, ...labels, ...joined],
      this.#slow,
    );
    code = [block(special[Special.empty]!, code), this.#leaveWithPlace(Outcome.empty, 1)];
    code = [block(special[Special.compiled]!, code), this.#enterCompiled()];
    code = [block(special[Special.end]!, code), this.#endPage()];
    code = [block(special[Special.idle]!, code), this.#advance()];
    for (const [at, handler] of handlers.entries()) {
      code = [block(labels[at]!, code), this.#handlers.code(handler), this.#advance()];
    }
    for (const [at, { first, step, second }] of pairs.entries()) {
      code = [
        block(joined[at]!, code),
        this.#handlers.code(first),
        set(this.#slot, add32(get(this.#slot), i32(step))),
        this.#spend(),
        this.#handlers.code(second),
        this.#advance(),
      ];
    }
    return code;
  }

  /** One instruction of the budget. */
  #spend(): Code {
    return [
      brIf(op('i32.eqz', get(this.#remaining)), this.#budget),
      set(this.#remaining, op('i32.sub', get(this.#remaining), i32(1))),
    ];
  }

  #enterCompiled(): Code {
    const budget = add32(get(this.#remaining), i32(1));
    return tailCallIndirect(this.#type, this.#handlers.field('immediate'), this.#pc(), budget);
  }

  /** No instruction: gives back what was counted. */
  #endPage(): Code {
    return [
      set(this.#remaining, add32(get(this.#remaining), i32(1))),
      set(this.#target, this.#pc()),
      br(this.#jump),
    ];
  }

  #advance(): Code {
    return [
      set(this.#slot, get(this.#next)),
      set(this.#word, get(this.#nextWord)),
      br(this.#continue),
    ];
  }

  /** The next word is there before it is needed: the host's processor seldom guesses which handler it names. */
  #lookAhead(): Code {
    const step = and32(op('i32.shr_u', get(this.#word), i32(8)), STEP_BITS);
    return [
      set(this.#next, add32(get(this.#slot), step)),
      set(this.#nextWord, load('i32.load', get(this.#next))),
    ];
  }

  #pc(): Code {
    return this.#handlers.addressOf(this.#slot);
  }
}
