import type { Dependency } from '../archive/dependency.ts';
import type { PackageRecord } from '../archive/types.ts';
import { offers } from './match.ts';

/** A package of the selection that does not go with another one. */
export interface Clash {
  readonly with: PackageRecord;
  /** The one of both that declares it. */
  readonly declaredBy: PackageRecord;
  readonly field: 'Conflicts' | 'Breaks' | 'version';
  readonly dependency?: Dependency;
}

interface Refusal {
  readonly by: PackageRecord;
  readonly field: 'Conflicts' | 'Breaks';
  readonly dependency: Dependency;
}

/** The packages chosen so far, in the order of their choice; choices are taken back from the end. */
export class Selection {
  readonly architecture: string;
  readonly records: PackageRecord[] = [];
  readonly #byName = new Map<string, PackageRecord>();
  /** Chosen packages by each name that they have or provide. */
  readonly #offering = new Map<string, PackageRecord[]>();
  /** What chosen packages refuse to be with, by name. */
  readonly #refusals = new Map<string, Refusal[]>();

  constructor(architecture: string) {
    this.architecture = architecture;
  }

  get(name: string): PackageRecord | undefined {
    return this.#byName.get(name);
  }

  add(record: PackageRecord): void {
    this.records.push(record);
    this.#byName.set(record.name, record);
    for (const name of namesOf(record)) listOf(this.#offering, name).push(record);
    for (const refusal of refusalsOf(record)) {
      listOf(this.#refusals, refusal.dependency.name).push(refusal);
    }
  }

  /** Takes back choices until `length` are left. */
  truncate(length: number): void {
    while (this.records.length > length) {
      const record = this.records.pop()!;
      this.#byName.delete(record.name);
      for (const name of namesOf(record)) this.#offering.get(name)!.pop();
      for (const refusal of refusalsOf(record)) this.#refusals.get(refusal.dependency.name)!.pop();
    }
  }

  /** True where a chosen package satisfies the clause. */
  satisfies(clause: readonly Dependency[]): boolean {
    return clause.some((dependency) => this.#offerers(dependency).length > 0);
  }

  /** What keeps the record from being chosen too. */
  clashes(record: PackageRecord): Clash[] {
    const clashes: Clash[] = [];
    const twin = this.#byName.get(record.name);
    if (twin !== undefined && twin !== record) {
      clashes.push({ with: twin, declaredBy: record, field: 'version' });
    }
    for (const { field, dependency } of refusalsOf(record)) {
      for (const other of this.#offerers(dependency)) {
        if (other.name === record.name) continue;
        clashes.push({ with: other, declaredBy: record, field, dependency });
      }
    }
    for (const name of namesOf(record)) {
      for (const { by, field, dependency } of this.#refusals.get(name) ?? []) {
        if (by.name === record.name || !offers(record, dependency, this.architecture)) continue;
        clashes.push({ with: by, declaredBy: by, field, dependency });
      }
    }
    return clashes;
  }

  #offerers(dependency: Dependency): PackageRecord[] {
    const named = this.#offering.get(dependency.name) ?? [];
    return named.filter((record) => offers(record, dependency, this.architecture));
  }
}

function namesOf(record: PackageRecord): Set<string> {
  return new Set([record.name, ...record.provides.map(([provided]) => provided!.name)]);
}

function* refusalsOf(record: PackageRecord): Iterable<Refusal> {
  for (const clause of record.conflicts) {
    for (const dependency of clause) yield { by: record, field: 'Conflicts', dependency };
  }
  for (const clause of record.breaks) {
    for (const dependency of clause) yield { by: record, field: 'Breaks', dependency };
  }
}

function listOf<T>(map: Map<string, T[]>, key: string): T[] {
  let list = map.get(key);
  if (list === undefined) {
    list = [];
    map.set(key, list);
  }
  return list;
}
