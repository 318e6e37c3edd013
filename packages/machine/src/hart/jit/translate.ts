import {
  block,
  br,
  brIf,
  type Code,
  type FunctionRef,
  type FunctionScope,
  fill,
  get,
  i32,
  i64,
  type Label,
  type Local,
  label,
  load,
  op,
  ret,
  set,
  tailCall,
  type ValueType,
  when,
} from '@anole/bytes/wasm';
import { LocalPool } from '../interpreter/atomics.ts';
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
import { dataTable, entryOf, tableOf } from '../interpreter/tlb-access.ts';
import { FCSR, FETCH_MODE, MSTATUS, PC, REMAINING, TlbKind } from '../layout.ts';
import { status } from '../status.ts';
import { commonLocals, commonTypes, leavingAt, MAX_REFUND, OFFSET, REFUND } from './common.ts';
import { checkNumbers, checkOf, type Group, groupsOf } from './groups.ts';
import { Liveness, slotOf, waysOf, writtenBy } from './liveness.ts';
import { Outcome } from './lookup.ts';
import { pagesOf, type Region } from './region.ts';
import { flowOf, type Step } from './step.ts';
import { Structure } from './structure.ts';
import { numbersFor, type StepTemplates } from './templates.ts';

/** A region, and where its pages lie in this memory. */
export interface PlacedRegion extends Region {
  readonly places: ReadonlyMap<number, number>;
}

export interface TranslateOptions {
  /** Body of the function that goes to other compiled code, see {@link ./lookup.ts}. */
  readonly chain: FunctionRef;
  /** See `acrossTo`. */
  readonly across: FunctionRef;
  readonly templates: StepTemplates;
}

/** Body of a function of `compiledSignature` that does what `region` says. */
export function translate(
  region: PlacedRegion,
  scope: FunctionScope,
  options: TranslateOptions,
): Code {
  return new Translator(region, scope, options).code();
}

/** A way out of a block, with registers to be written back on it, and on those around it. */
interface Exit {
  readonly label: Label;
  readonly registers: readonly number[];
}

/** Where several blocks leave by. */
interface Tail {
  readonly label: Label;
  readonly registers: readonly number[];
  readonly to: Label;
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
  readonly #registers: (Local | undefined)[] = [];
  /** Code that writes a register back. */
  readonly #stores: Code[] = [];
  readonly #liveness: Liveness;
  /** Of the block at hand, the outermost first; and what it wrote since the last of them. */
  #exits: Exit[] = [];
  #fresh = new Set<number>();
  /** What is dirty where the block at hand begins, and the same as a word. */
  #before: ReadonlySet<number> = new Set();
  #beforeKey = '';
  readonly #tails = new Map<string, Tail>();
  /** Dirty at this point, and not before the block. */
  #dirty = new Set<number>();
  readonly #pool: LocalPool;
  readonly #work = (type: ValueType): Local => this.#pool.take(type);
  /** Of the block at hand, by the indexes of its steps; and the locals that hold what was found. */
  #groups: ReadonlyMap<number, Group> = new Map();
  readonly #deltas = new Map<Group, Local>();
  readonly #deltaLocals: Local[] = [];
  readonly #leave = label('leave');
  readonly #chain = label('chain');
  readonly #structure: Structure;
  /** Blocks that loops start at. */
  readonly #loops: ReadonlySet<number>;
  /** Instructions of the region: no more are executed between two looks at the budget. */
  readonly #length: number;
  #hasFloats = false;
  #hasGroups = false;

  constructor(region: PlacedRegion, scope: FunctionScope, options: TranslateOptions) {
    this.#region = region;
    this.#scope = scope;
    this.#options = options;
    for (const type of commonTypes) scope.local(type);
    this.#pool = new LocalPool((type) => scope.local(type));
    this.#liveness = new Liveness(region);
    this.#length = region.blocks.reduce((sum, { steps }) => sum + steps.length, 0);
    const ways = region.blocks.map(waysOf);
    this.#loops = new Set(ways.flatMap((to, from) => to.filter((each) => each <= from)));
    this.#structure = new Structure(ways, region.entries, dispatch);
  }

  code(): Code {
    const { entries } = this.#region;
    const body = this.#structure.code(this.#enter(), (index) => this.#block(index));
    return [
      when(this.#isShort(), [
        setSlot64(PC, get(base)),
        setSlot32(REMAINING, get(remaining)),
        ret(i32(Outcome.short)),
      ]),
      entries.length > 1 ? set(leaving, and32(wrap(get(base)), 4095)) : [],
      set(base, and64(get(base), -4096)),
      set(data, dataTable),
      this.#hasFloats ? floatState() : [],
      block(
        this.#leave,
        block(this.#chain, this.#withTails(body)),
        tailCall(this.#options.chain, get(target), get(remaining)),
      ),
      set(base, add64(get(base), op('i64.extend_i32_s', leavingOffset()))),
      set(
        remaining,
        add32(get(remaining), and32(op('i32.shr_u', get(leaving), i32(REFUND)), MAX_REFUND)),
      ),
      this.#hasGroups
        ? when(
            op('i32.eqz', and32(get(leaving), 3)),
            tailCall(this.#options.across, get(base), get(remaining)),
          )
        : [],
      setSlot64(PC, get(base)),
      setSlot32(REMAINING, get(remaining)),
      and32(get(leaving), 3),
    ];
  }

  /** Whether the budget may end before it is looked at again. */
  #isShort(): Code {
    return op('i32.lt_u', get(remaining), i32(this.#length));
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
      const isMeant = op('i32.eq', get(leaving), i32(blocks[at]!.offset));
      return isLast ? enter : when(isMeant, enter);
    });
  }

  /** Where blocks that begin with the same registers dirty write those back. */
  #tail(to: Label): Label {
    if (this.#before.size === 0) return to;
    const key = `${to.label} ${this.#beforeKey}`;
    let tail = this.#tails.get(key);
    if (tail === undefined) {
      tail = { label: label(key), registers: [...this.#before], to };
      this.#tails.set(key, tail);
    }
    return tail.label;
  }

  #withTails(body: Code): Code {
    let code = body;
    for (const { label: name, registers, to } of this.#tails.values()) {
      code = [block(name, code), this.#writeBack(registers), br(to)];
    }
    return code;
  }

  #writeBack(registers: Iterable<number>): Code {
    const code: Code[] = [];
    for (const number of registers) {
      this.#stores[number] ??= setSlot64(slotOf(number), get(this.#register(number)));
      code.push(this.#stores[number]);
    }
    return code;
  }

  /** Where the instruction at hand leaves to, nothing of it done. */
  #slow(): Label {
    if (this.#fresh.size > 0 || this.#exits.length === 0) {
      this.#exits.push({ label: label('leave'), registers: [...this.#fresh] });
      this.#fresh.clear();
    }
    return this.#exits.at(-1)!.label;
  }

  #block(index: number): Code {
    const { steps, offset } = this.#region.blocks[index]!;
    const count = steps.length;
    this.#groups = this.#region.isLoose ? new Map() : groupsOf(steps);
    this.#deltas.clear();
    const dirty = this.#liveness.dirty(index);
    this.#before = new Set(dirty);
    this.#beforeKey = dirty.join();
    this.#dirty.clear();
    this.#exits = [];
    this.#fresh.clear();
    const body = [
      this.#loops.has(index) ? this.#checkBudget(offset) : [],
      set(remaining, op('i32.sub', get(remaining), i32(count))),
      steps.slice(0, -1).map((step, done) => this.#step(step, done, count - done)),
      this.#end(index, this.#step(steps.at(-1)!, count - 1, 1)),
    ];
    if (this.#exits.length === 0) return body;
    const code = this.#exits.reduceRight<Code>(
      (inner, exit) => [block(exit.label, inner), this.#writeBack(exit.registers)],
      body,
    );
    return [code, br(this.#tail(this.#leave))];
  }

  /** At the start of a loop. */
  #checkBudget(offset: number): Code {
    return [
      set(leaving, i32(leavingAt(offset, 0, Outcome.short))),
      brIf(this.#isShort(), this.#slow()),
    ];
  }

  /** @param refund instructions of its block that are not executed before it */
  #step(step: Step, index: number, refund: number): Code {
    const group = this.#groups.get(index);
    const check = group?.members[0] === index ? this.#check(group, step, refund) : [];
    const template = this.#options.templates.of(step, group !== undefined);
    this.#hasFloats ||= template.usesFloats;
    this.#pool.reset();
    const numbers = numbersFor(step, template, refund, {
      register: this.#register,
      work: this.#work,
      delta: group && this.#deltas.get(group),
    });
    const leave = template.leaves ? this.#slow() : undefined;
    const written = writtenBy(step);
    if (written !== undefined && !this.#before.has(written)) {
      this.#fresh.add(written);
      this.#dirty.add(written);
    }
    return [check, fill(template.template, numbers, leave)];
  }

  /** Before the first access of a group. */
  #check(group: Group, { offset }: Step, refund: number): Code {
    this.#hasGroups = true;
    this.#pool.reset();
    const delta = this.#deltaLocals[this.#deltas.size] ?? this.#scope.local('i32');
    this.#deltaLocals[this.#deltas.size] = delta;
    this.#deltas.set(group, delta);
    const locals = { base: this.#register(group.base), delta, work: this.#work('i64') };
    // As no outcome, which is 0, it goes to what is there for it.
    const leave = leavingAt(offset, refund, Outcome.proceed);
    return fill(checkOf(group), checkNumbers(group, leave, locals), this.#slow());
  }

  /** @param last code of the last instruction of a block, see {@link StepTemplates} */
  #end(index: number, last: Code): Code {
    const { steps, next, target: known, follow, taken, back } = this.#region.blocks[index]!;
    const flow = flowOf(steps.at(-1)!.instruction);
    if (flow === 'branch') {
      const jump = when(last, this.#goTo(index, taken, known!));
      return [jump, this.#goTo(index, follow, next)];
    }
    if (flow === 'next') return [last, this.#goTo(index, follow, next)];
    if (known !== undefined) return [last, this.#goTo(index, taken, known)];
    if (back === undefined) return [last, this.#chainTo()];
    // A return, expected to go where the call came from.
    const { offset } = this.#region.blocks[back]!;
    const isExpected = op('i64.eq', get(target), address(offset));
    return [last, when(isExpected, this.#goTo(index, back, offset)), this.#chainTo()];
  }

  /** From a block to another one, or, where there is none, to an offset outside of the region. */
  #goTo(from: number, to: number | undefined, offset: number): Code {
    const chain = [set(target, address(offset)), this.#chainTo()];
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
    const start = address(page << 12);
    const place = this.#region.places.get(page)!;
    return when(op('i32.eqz', and32(get(known), bit)), [
      set(entry, tableOf(TlbKind.fetch, FETCH_MODE)),
      set(entry, entryOf(entry, start)),
      when(op('i64.ne', load('i64.load', get(entry)), start), otherwise),
      when(
        op('i32.ne', add32(wrap(start), load('i32.load', get(entry), 8)), i32(place)),
        otherwise,
      ),
      set(known, op('i32.or', get(known), i32(bit))),
    ]);
  }

  /** To the address in `target`, outside of the region. */
  #chainTo(): Code {
    return [this.#writeBack(this.#dirty), br(this.#tail(this.#chain))];
  }

  readonly #register = (number: number): Local => {
    let local = this.#registers[number];
    if (local === undefined) {
      local = this.#scope.local('i64');
      this.#registers[number] = local;
    }
    return local;
  };
}

const { base, remaining, target, leaving, known, data, dispatch, float } = commonLocals;

const address = (offset: number): Code =>
  offset === 0 ? get(base) : add64(get(base), i64(offset));

const leavingOffset = (): Code => op('i32.shl', op('i32.shr_s', get(leaving), i32(OFFSET)), i32(1));

function floatState(): Code {
  const isDirty = op('i64.eq', and64(slot64(MSTATUS), status.FS), i64(status.FS));
  return [
    set(float.on, isSet64(slot64(MSTATUS), status.FS)),
    set(float.dirty, isDirty),
    set(float.nearest, op('i32.eqz', and32(slot32(FCSR), 0xe0))),
    set(float.inexact, and32(slot32(FCSR), 1)),
  ];
}
