import { type Dependency, satisfiesVersion } from '../archive/dependency.ts';
import type { PackageIndex, PackageRecord } from '../archive/types.ts';

/** True where the record has that name or provides it, in a version the dependency accepts. */
export function offers(
  record: PackageRecord,
  dependency: Dependency,
  architecture: string,
): boolean {
  if (!acceptsArchitecture(record, dependency, architecture)) return false;
  if (record.name === dependency.name && satisfiesVersion(record.version, dependency)) return true;
  return record.provides.some(([provided]) => providesIt(provided, dependency));
}

/** A Provides without version satisfies only dependencies without version (Debian Policy 7.5). */
function providesIt(provided: Dependency | undefined, dependency: Dependency): boolean {
  if (provided === undefined || provided.name !== dependency.name) return false;
  if (dependency.version === undefined) return true;
  return provided.version !== undefined && satisfiesVersion(provided.version, dependency);
}

/** `:any` asks for a package that is `Multi-Arch: allowed`; other qualifiers for this architecture. */
function acceptsArchitecture(
  record: PackageRecord,
  { qualifier }: Dependency,
  architecture: string,
): boolean {
  if (qualifier === undefined || qualifier === 'native') return true;
  if (qualifier === 'any') return record.multiArch === 'allowed';
  return qualifier === architecture;
}

/**
 * The packages that could satisfy the dependency, in the order in which apt would try them: the
 * package of that name (the newest version first), then providers: essential ones, those of higher
 * priority, and of equals those that come later by name.
 */
export function candidatesFor(index: PackageIndex, dependency: Dependency): PackageRecord[] {
  const fits = (record: PackageRecord) => offers(record, dependency, index.architecture);
  const real = index.versions(dependency.name).filter(fits);
  const virtual = index
    .providers(dependency.name)
    .filter((record) => record.name !== dependency.name && fits(record))
    .sort((a, b) => weight(a) - weight(b) || (a.name > b.name ? -1 : 1));
  return [...real, ...virtual];
}

/** As {@link candidatesFor}, for all alternatives of a clause in turn. */
export function candidatesForClause(
  index: PackageIndex,
  clause: readonly Dependency[],
): PackageRecord[] {
  return [...new Set(clause.flatMap((alternative) => candidatesFor(index, alternative)))];
}

const priorities = ['required', 'important', 'standard', 'optional', 'extra'];

function weight(record: PackageRecord): number {
  const priority = priorities.indexOf(record.priority);
  return (record.essential ? 0 : 100) + (priority < 0 ? priorities.length : priority);
}
