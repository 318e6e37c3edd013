import { formatClause, parseDependencies } from '../archive/dependency.ts';
import type { PackageIndex, PackageRecord } from '../archive/types.ts';
import { SolveError } from './errors.ts';
import { clashing, unsatisfiable } from './explain.ts';
import { inOrder } from './order.ts';
import { Search, type Want } from './search.ts';
import type { Reason, Solution, SolveRequest } from './types.ts';

/**
 * Chooses the packages that a fresh system with the request has, as `apt-get install` would on an
 * empty one: what is asked for comes first, then the dependencies of each in turn; of alternatives
 * the first that can be satisfied; a real package before those that provide its name.
 *
 * @throws SolveError `SOLVE_BAD_REQUEST`, `SOLVE_NO_SUCH_PACKAGE`, `SOLVE_UNSATISFIABLE` (the message
 * says who wanted what and why each candidate failed), `SOLVE_TOO_HARD`.
 */
export function solve(index: PackageIndex, request: SolveRequest): Solution {
  const excluded = new Set(request.exclude ?? []);
  const search = new Search(index, request.recommends, excluded);
  const wants: Want[] = [];
  for (const [record, reason] of implied(index, request)) {
    if (!excluded.has(record.name)) choose(search, record, reason);
  }
  for (const item of request.packages) {
    const record = findRequested(index, item);
    if (record === undefined) wants.push(virtualWant(index, item));
    else if (excluded.has(record.name)) throw badRequest(item, 'it is excluded too');
    else choose(search, record, { kind: 'requested' });
  }
  const failure = search.run(wants);
  if (failure !== undefined) throw unsatisfiable(index, failure);
  return solutionOf(search, request);
}

function choose(search: Search, record: PackageRecord, reason: Reason): void {
  const clash = search.require(record, reason);
  if (clash !== undefined) throw clashing(record, clash);
}

function* implied(index: PackageIndex, request: SolveRequest): Iterable<[PackageRecord, Reason]> {
  if (request.essential) {
    for (const record of index.having('Essential', 'yes')) yield [record, { kind: 'essential' }];
  }
  for (const priority of request.priorities ?? []) {
    for (const record of index.having('Priority', priority)) {
      yield [record, { kind: 'priority', priority }];
    }
  }
}

const requestForm = /^([a-z0-9][a-z0-9+.-]*)(?::([a-z0-9-]+))?(?:=([^\s=/]+)|\/([^\s=/]+))?$/;

/** The package asked for; undefined where the name is only provided. */
function findRequested(index: PackageIndex, item: string): PackageRecord | undefined {
  const match = requestForm.exec(item);
  if (match === null) throw badRequest(item, 'it does not read name, name=version or name/suite');
  const [, name = '', architecture, version, suite] = match;
  if (architecture !== undefined && ![index.architecture, 'all'].includes(architecture)) {
    throw badRequest(item, `packages are for ${index.architecture}`);
  }
  const versions = index.versions(name);
  const found =
    suite === undefined
      ? index.get(name, version)
      : versions.find((record) => record.suite === suite);
  if (found !== undefined) return found;
  if (versions.length === 0 && version === undefined && index.providers(name).length > 0) {
    return undefined;
  }
  throw noSuchPackage(index, item, name);
}

function virtualWant(index: PackageIndex, item: string): Want {
  const [clause = []] = parseDependencies(item, { architecture: index.architecture });
  return { clause, reason: { kind: 'requested' }, soft: false };
}

function solutionOf(search: Search, request: SolveRequest): Solution {
  const { selection } = search;
  const packages = inOrder(selection.records, selection.architecture);
  const skippedRecommends = !request.recommends
    ? []
    : packages.flatMap((record) =>
        record.recommends
          .filter((clause) => !selection.satisfies(clause))
          .map((clause) => `${record.name}: ${formatClause(clause)}`),
      );
  const reasons = new Map(packages.map((record) => [record.name, search.reasons.get(record)!]));
  return { packages, reasons, skippedRecommends };
}

function badRequest(item: string, why: string): SolveError {
  return new SolveError('SOLVE_BAD_REQUEST', `Cannot ask for package ${item.slice(0, 80)}: ${why}`);
}

function noSuchPackage(index: PackageIndex, item: string, name: string): SolveError {
  const met = index.versions(name).map(({ version, suite }) => `${version} (${suite})`);
  const why =
    met.length > 0
      ? `there is ${met.join(', ')}`
      : `no package of that name for ${index.architecture}`;
  return new SolveError('SOLVE_NO_SUCH_PACKAGE', `Cannot find package ${item}: ${why}`, {
    details: { package: item, architecture: index.architecture },
    hint: 'Check the spelling, and that the recipe names the suite and component that has it.',
  });
}
