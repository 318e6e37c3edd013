import { type Dependency, formatClause, formatDependency } from '../archive/dependency.ts';
import type { PackageIndex, PackageRecord } from '../archive/types.ts';
import { SolveError } from './errors.ts';
import type { Failure, Rejection, Want } from './search.ts';
import type { Clash } from './selection.ts';

const verbs = {
  Depends: 'depends on',
  'Pre-Depends': 'pre-depends on',
  Recommends: 'recommends',
} as const;

const deepest = 8;

/** The error for a request that cannot be satisfied: who wanted what, and why each candidate failed. */
export function unsatisfiable(index: PackageIndex, failure: Failure): SolveError {
  const lines = explainFailure(index, failure, 0);
  return new SolveError(
    'SOLVE_UNSATISFIABLE',
    `Cannot satisfy the dependencies:\n${lines.map((line) => `  ${line}`).join('\n')}`,
    {
      details: { wanted: formatClause(failure.want.clause), by: failure.want.by?.name ?? null },
      hint: 'Change the packages asked for or excluded, or add the suite that has what is missing.',
    },
  );
}

/** The error for two requested packages that do not go together. */
export function clashing(record: PackageRecord, clash: Clash): SolveError {
  return new SolveError(
    'SOLVE_UNSATISFIABLE',
    `Cannot install ${record.name} and ${clash.with.name} together: ${describeClash(clash)}`,
    { details: { packages: [record.name, clash.with.name] } },
  );
}

function explainFailure(index: PackageIndex, failure: Failure, depth: number): string[] {
  const indent = '  '.repeat(depth);
  const { want, rejections } = failure;
  const lines = [`${indent}${describeWant(want)}`];
  if (depth >= deepest) return [...lines, `${indent}  …`];
  for (const dependency of want.clause) {
    const missing = describeMissing(index, dependency);
    if (missing !== undefined) lines.push(`${indent}  ${missing}`);
  }
  for (const rejection of rejections) lines.push(...explainRejection(index, rejection, depth + 1));
  return lines;
}

function explainRejection(index: PackageIndex, rejection: Rejection, depth: number): string[] {
  const indent = '  '.repeat(depth);
  const { candidate } = rejection;
  const shown = `${candidate.name} ${candidate.version}`;
  switch (rejection.kind) {
    case 'excluded':
      return [`${indent}${shown} is excluded by the request`];
    case 'clash':
      return [`${indent}${shown} is out: ${describeClash(rejection.clash)}`];
    default:
      return explainFailure(index, rejection.failure, depth);
  }
}

function describeWant({ clause, by, reason }: Want): string {
  const wanted = formatClause(clause);
  if (by === undefined || reason.kind !== 'dependency') return `${wanted} is asked for`;
  return `${by.name} ${by.version} ${verbs[reason.field]} ${wanted}`;
}

/** Why the dependency has no candidate; undefined where it has one. */
function describeMissing(index: PackageIndex, dependency: Dependency): string | undefined {
  const versions = index.versions(dependency.name);
  const providers = index.providers(dependency.name);
  const wanted = formatDependency(dependency);
  if (versions.length === 0 && providers.length === 0) {
    return `no package is or provides ${dependency.name} for ${index.architecture}`;
  }
  if (dependency.version === undefined || versions.length === 0) return undefined;
  const met = versions.map(({ version }) => version).join(', ');
  return `${wanted}: there is ${dependency.name} ${met}`;
}

function describeClash({ with: other, declaredBy, field, dependency }: Clash): string {
  if (field === 'version' || dependency === undefined) {
    return `${other.name} ${other.version} is chosen already`;
  }
  const verb = field === 'Breaks' ? 'breaks' : 'conflicts with';
  const where = declaredBy === other ? '' : `, which ${other.name} ${other.version} is or provides`;
  return `${declaredBy.name} ${declaredBy.version} ${verb} ${formatDependency(dependency)}${where}`;
}
