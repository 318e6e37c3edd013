import type { DependencyField } from '../archive/dependency.ts';
import type { PackageRecord } from '../archive/types.ts';
import { offers } from './match.ts';

/**
 * Orders packages for unpacking and configuring one after another: dependencies before dependents.
 * Where dependencies form a cycle, Pre-Depends decide; what is left keeps its order.
 */
export function inOrder(records: readonly PackageRecord[], architecture: string): PackageRecord[] {
  const offering = offeringsOf(records);
  const targets = (record: PackageRecord, field: DependencyField) =>
    field.flat().flatMap((dependency) => {
      const named = offering.get(dependency.name) ?? [];
      return named.filter((other) => other !== record && offers(other, dependency, architecture));
    });
  const before = (record: PackageRecord) => targets(record, record.preDepends);
  const all = (record: PackageRecord) => [...before(record), ...targets(record, record.depends)];
  return components(records, all).flatMap((cycle) =>
    cycle.length === 1 ? cycle : components(inOrderOf(records, cycle), before).flat(),
  );
}

function offeringsOf(records: readonly PackageRecord[]): Map<string, PackageRecord[]> {
  const offering = new Map<string, PackageRecord[]>();
  for (const record of records) {
    const names = [record.name, ...record.provides.map(([provided]) => provided!.name)];
    for (const name of new Set(names)) offering.set(name, [...(offering.get(name) ?? []), record]);
  }
  return offering;
}

function inOrderOf<T>(all: readonly T[], some: readonly T[]): T[] {
  const wanted = new Set(some);
  return all.filter((item) => wanted.has(item));
}

/** A node that is being visited by {@link components}. */
interface Visit<T> {
  readonly node: T;
  readonly targets: Iterator<T>;
  readonly number: number;
  low: number;
}

/** Strongly connected components, targets before sources (Tarjan 1972), without recursion. */
function components<T>(nodes: readonly T[], targetsOf: (node: T) => readonly T[]): T[][] {
  const known = new Set(nodes);
  const visits = new Map<T, Visit<T>>();
  const finished = new Set<T>();
  const open: T[] = [];
  const result: T[][] = [];
  const begin = (node: T): Visit<T> => {
    const number = visits.size;
    const visit = { node, targets: targetsOf(node)[Symbol.iterator](), number, low: number };
    visits.set(node, visit);
    open.push(node);
    return visit;
  };
  const finish = (visit: Visit<T>) => {
    if (visit.low !== visit.number) return;
    const component = open.splice(open.indexOf(visit.node));
    for (const node of component) finished.add(node);
    result.push(component);
  };
  for (const root of nodes) {
    const path = visits.has(root) ? [] : [begin(root)];
    while (path.length > 0) {
      const visit = path.at(-1)!;
      const { value, done } = visit.targets.next();
      if (done) {
        finish(visit);
        path.pop();
        const parent = path.at(-1);
        if (parent !== undefined) parent.low = Math.min(parent.low, visit.low);
      } else if (!visits.has(value)) {
        if (known.has(value)) path.push(begin(value));
      } else if (!finished.has(value)) {
        visit.low = Math.min(visit.low, visits.get(value)!.number);
      }
    }
  }
  return result;
}
