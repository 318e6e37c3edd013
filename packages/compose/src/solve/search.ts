import { type Dependency, formatClause } from '../archive/dependency.ts';
import type { PackageIndex, PackageRecord } from '../archive/types.ts';
import { SolveError } from './errors.ts';
import { candidatesForClause } from './match.ts';
import { type Clash, Selection } from './selection.ts';
import type { Reason } from './types.ts';

/** A clause that must hold (or, of a Recommends, may). */
export interface Want {
  readonly clause: readonly Dependency[];
  readonly reason: Reason;
  /** The package that wants it; undefined for what the request wants. */
  readonly by?: PackageRecord;
  /** May stay unsatisfied. */
  readonly soft: boolean;
}

/** Wants still to be looked at: a list that shares its tail with those of earlier choices. */
interface Agenda {
  readonly want: Want;
  readonly rest: Agenda | undefined;
}

/** Why a candidate was not taken. */
export type Rejection =
  | { readonly candidate: PackageRecord; readonly kind: 'excluded' }
  /** Nothing satisfies one of its dependencies: `hopeless` whatever else is chosen. */
  | {
      readonly candidate: PackageRecord;
      readonly kind: 'failed' | 'hopeless';
      readonly failure: Failure;
    }
  | { readonly candidate: PackageRecord; readonly kind: 'clash'; readonly clash: Clash };

/** A want that nothing satisfied. */
export interface Failure {
  readonly want: Want;
  readonly rejections: readonly Rejection[];
}

/** The choice of a candidate for one want. */
interface Choice {
  readonly want: Want;
  readonly rest: Agenda | undefined;
  readonly candidates: readonly PackageRecord[];
  next: number;
  /** Packages chosen before this choice was made. */
  readonly before: number;
  /** Depths of earlier choices that had a part in failures of this one. */
  readonly culprits: Set<number>;
  readonly rejections: Rejection[];
}

const mostSteps = 1_000_000;

/**
 * Depth-first search for a selection that satisfies all wants, in the manner of apt: each package's
 * dependencies are followed, in their order, before those of the next one. A failure jumps back to
 * the latest choice that had a part in it (conflict-directed backjumping, Prosser 1993).
 */
export class Search {
  readonly selection: Selection;
  readonly reasons = new Map<PackageRecord, Reason>();
  readonly #index: PackageIndex;
  readonly #recommends: boolean;
  readonly #excluded: ReadonlySet<string>;
  readonly #choices: Choice[] = [];
  /** Depth of the choice that brought a package. */
  readonly #depths = new Map<PackageRecord, number>();
  /** Packages with a dependency that nothing can satisfy, whatever else is chosen. */
  readonly #hopeless = new Map<PackageRecord, Failure>();
  #agenda: Agenda | undefined;

  constructor(index: PackageIndex, recommends: boolean, excluded: ReadonlySet<string>) {
    this.#index = index;
    this.#recommends = recommends;
    this.#excluded = excluded;
    this.selection = new Selection(index.architecture);
  }

  /** Chooses a package for good. Returns what it clashes with, else undefined. */
  require(record: PackageRecord, reason: Reason): Clash | undefined {
    if (this.selection.get(record.name) === record) return undefined;
    const [clash] = this.selection.clashes(record);
    if (clash !== undefined) return clash;
    this.selection.add(record);
    this.reasons.set(record, reason);
    return undefined;
  }

  /**
   * Satisfies `wants`, then the dependencies of all packages chosen so far. Returns the failure that
   * this comes down to, or undefined when all is satisfied.
   */
  run(wants: readonly Want[]): Failure | undefined {
    const required = this.selection.records.flatMap((record) => this.#wantsOf(record));
    this.#agenda = chainWants([...wants, ...required], undefined);
    for (let step = 0; this.#agenda !== undefined; step++) {
      const { want, rest }: Agenda = this.#agenda;
      if (step > mostSteps) throw tooHard(want);
      this.#agenda = rest;
      if (this.selection.satisfies(want.clause)) continue;
      const failure = this.#decide(this.#newChoice(want, rest));
      if (failure !== undefined) return failure;
    }
    return undefined;
  }

  #newChoice(want: Want, rest: Agenda | undefined): Choice {
    const candidates = candidatesForClause(this.#index, want.clause);
    const before = this.selection.records.length;
    const culprits = new Set<number>();
    const by = want.by && this.#depths.get(want.by);
    if (by !== undefined) culprits.add(by);
    return { want, rest, candidates, next: 0, before, culprits, rejections: [] };
  }

  /** Takes the choice's next candidate; failing that, the next one of the choice to blame. */
  #decide(choice: Choice): Failure | undefined {
    for (let current = choice; ; ) {
      const taken = this.#take(current);
      if (taken) return undefined;
      const failure = { want: current.want, rejections: current.rejections };
      this.#note(current, failure);
      const depth = Math.max(-1, ...current.culprits);
      const blamed = this.#choices[depth];
      if (blamed === undefined) return failure;
      this.#choices.length = depth;
      blamed.rejections.push(this.#rejectionOf(blamed, failure));
      this.#undo(blamed.before);
      for (const culprit of current.culprits) if (culprit < depth) blamed.culprits.add(culprit);
      current = blamed;
    }
  }

  #take(choice: Choice): boolean {
    while (choice.next < choice.candidates.length) {
      const candidate = choice.candidates[choice.next++]!;
      if (this.#rejects(choice, candidate)) continue;
      this.#depths.set(candidate, this.#choices.length);
      this.#choices.push(choice);
      this.#add(candidate, choice.want.reason, choice.rest);
      return true;
    }
    if (!choice.want.soft) return false;
    this.#choices.push(choice);
    this.#agenda = choice.rest;
    return true;
  }

  #rejects(choice: Choice, candidate: PackageRecord): boolean {
    if (this.#excluded.has(candidate.name)) {
      choice.rejections.push({ candidate, kind: 'excluded' });
      return true;
    }
    const failure = this.#hopeless.get(candidate);
    if (failure !== undefined) {
      choice.rejections.push({ candidate, kind: 'hopeless', failure });
      return true;
    }
    const clashes = this.selection.clashes(candidate);
    for (const clash of clashes) {
      choice.rejections.push({ candidate, kind: 'clash', clash });
      const depth = this.#depths.get(clash.with);
      if (depth !== undefined) choice.culprits.add(depth);
    }
    return clashes.length > 0;
  }

  #add(record: PackageRecord, reason: Reason, rest: Agenda | undefined): void {
    if (this.selection.get(record.name) !== record) this.selection.add(record);
    this.reasons.set(record, reason);
    this.#agenda = chainWants(this.#wantsOf(record), rest);
  }

  #wantsOf(record: PackageRecord): Want[] {
    const wants: Want[] = [];
    const want = (field: 'Depends' | 'Pre-Depends' | 'Recommends', clause: readonly Dependency[]) =>
      wants.push({
        clause,
        by: record,
        soft: field === 'Recommends',
        reason: { kind: 'dependency', field, by: record.name, clause: formatClause(clause) },
      });
    for (const clause of record.depends) want('Depends', clause);
    for (const clause of record.preDepends) want('Pre-Depends', clause);
    if (this.#recommends) for (const clause of record.recommends) want('Recommends', clause);
    return wants;
  }

  #undo(length: number): void {
    for (const record of this.selection.records.slice(length)) {
      this.reasons.delete(record);
      this.#depths.delete(record);
    }
    this.selection.truncate(length);
  }

  #rejectionOf(choice: Choice, failure: Failure): Rejection {
    const candidate = choice.candidates[choice.next - 1]!;
    return { candidate, kind: this.#hopeless.has(candidate) ? 'hopeless' : 'failed', failure };
  }

  #note(choice: Choice, failure: Failure): void {
    const { by } = choice.want;
    const isSure = choice.rejections.every(
      ({ kind }) => kind === 'excluded' || kind === 'hopeless',
    );
    if (by !== undefined && isSure) this.#hopeless.set(by, failure);
  }
}

function chainWants(wants: readonly Want[], rest: Agenda | undefined): Agenda | undefined {
  return wants.reduceRight<Agenda | undefined>((tail, want) => ({ want, rest: tail }), rest);
}

function tooHard({ clause, by }: Want): SolveError {
  return new SolveError(
    'SOLVE_TOO_HARD',
    `Cannot solve in ${mostSteps} steps: the last one was ${by?.name ?? 'the request'}'s ${formatClause(clause)}`,
    { hint: 'Name packages that choose between alternatives, or exclude the ones not wanted.' },
  );
}
