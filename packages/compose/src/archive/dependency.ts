import { ArchiveError } from './errors.ts';
import { compareVersions, parseVersion } from './version.ts';

export type Relation = '<<' | '<=' | '=' | '>=' | '>>';

/** One alternative of a clause, as in `libc6:any (>= 2.36)`. */
export interface Dependency {
  readonly name: string;
  /** The qualifier after the colon: `any`, `native` or an architecture. */
  readonly qualifier?: string;
  readonly relation?: Relation;
  readonly version?: string;
}

/** Clauses, all of which must hold; in each, one alternative must. */
export type DependencyField = readonly (readonly Dependency[])[];

/** For what restrictions in brackets (`[riscv64 !amd64]`, `<!nocheck>`) are judged. */
export interface DependencyContext {
  readonly architecture: string;
  /** Build profiles that are on. Default: none. */
  readonly profiles?: readonly string[];
}

const longestField = 1 << 20;
const alternativeForm =
  /^([a-z0-9][a-z0-9+.-]*)(?::([a-z0-9-]+))?\s*(?:\(\s*(<<|<=|=|>=|>>|<|>)\s*([^\s()]+)\s*\))?\s*(?:\[([^\]]*)\])?\s*((?:<[^<>]*>\s*)*)$/i;

/**
 * Parses a field such as `Depends` (Debian Policy 7.1). Alternatives whose restrictions do not hold
 * are left out, and so are clauses that lose all of theirs.
 *
 * @throws ArchiveError `ARCHIVE_BAD_DEPENDENCY`.
 */
export function parseDependencies(text: string, context: DependencyContext): DependencyField {
  if (text.length > longestField) throw badDependency(text, 'it is too long');
  const clauses: Dependency[][] = [];
  for (const clause of text.split(',')) {
    if (clause.trim() === '') continue;
    const alternatives: Dependency[] = [];
    for (const alternative of clause.split('|')) {
      const parsed = parseAlternative(alternative.trim(), context);
      if (parsed !== undefined) alternatives.push(parsed);
    }
    if (alternatives.length > 0) clauses.push(alternatives);
  }
  return clauses;
}

function parseAlternative(text: string, context: DependencyContext): Dependency | undefined {
  const match = text.length <= 4096 ? alternativeForm.exec(text) : null;
  if (match === null) throw badDependency(text, 'it does not read "name (>= version)"');
  const [, name = '', qualifier, relation, version, architectures, profiles = ''] = match;
  if (!matchesArchitectures(architectures, context.architecture)) return undefined;
  if (!matchesProfiles(profiles, context.profiles ?? [])) return undefined;
  if (version !== undefined) parseVersion(version);
  return {
    name,
    ...(qualifier === undefined ? {} : { qualifier }),
    ...(relation === undefined ? {} : { relation: relationOf(relation) }),
    ...(version === undefined ? {} : { version }),
  };
}

/** `<` and `>` are the old spellings of `<=` and `>=` (Debian Policy 7.1, footnote). */
function relationOf(text: string): Relation {
  if (text === '<') return '<=';
  if (text === '>') return '>=';
  return text as Relation;
}

function matchesArchitectures(list: string | undefined, architecture: string): boolean {
  const entries = (list ?? '').split(/\s+/).filter((entry) => entry !== '');
  if (entries.length === 0) return true;
  if (entries.every((entry) => entry.startsWith('!'))) {
    return !entries.some((entry) => matchesArchitecture(entry.slice(1), architecture));
  }
  return entries.some((entry) => matchesArchitecture(entry, architecture));
}

/** Wildcards of Debian Policy 11.1.1, for Linux. */
function matchesArchitecture(pattern: string, architecture: string): boolean {
  const wildcards = ['any', 'linux-any', `any-${architecture}`, `linux-${architecture}`];
  return pattern === architecture || wildcards.includes(pattern);
}

/** Any one list in `<…>` suffices; all terms of it must hold. */
function matchesProfiles(text: string, on: readonly string[]): boolean {
  const lists = [...text.matchAll(/<([^<>]*)>/g)].map((match) => match[1]!.trim().split(/\s+/));
  const holds = (term: string) =>
    term.startsWith('!') ? !on.includes(term.slice(1)) : on.includes(term);
  return lists.length === 0 || lists.some((terms) => terms.every(holds));
}

/** True where `version` is in the relation that the dependency asks for. */
export function satisfiesVersion(version: string, dependency: Dependency): boolean {
  if (dependency.relation === undefined || dependency.version === undefined) return true;
  const difference = compareVersions(version, dependency.version);
  switch (dependency.relation) {
    case '<<':
      return difference < 0;
    case '<=':
      return difference <= 0;
    case '=':
      return difference === 0;
    case '>=':
      return difference >= 0;
    case '>>':
      return difference > 0;
  }
}

/** A clause as one writes it: `awk | mawk (>= 1.3)`. */
export function formatClause(clause: readonly Dependency[]): string {
  return clause.map(formatDependency).join(' | ');
}

export function formatDependency(dependency: Dependency): string {
  const qualifier = dependency.qualifier === undefined ? '' : `:${dependency.qualifier}`;
  const version =
    dependency.relation === undefined ? '' : ` (${dependency.relation} ${dependency.version})`;
  return `${dependency.name}${qualifier}${version}`;
}

function badDependency(text: string, why: string): ArchiveError {
  const shown = JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
  return new ArchiveError('ARCHIVE_BAD_DEPENDENCY', `Cannot parse dependency ${shown}: ${why}`);
}
