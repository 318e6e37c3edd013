/**
 * OS images from distribution packages: find and verify a package archive, solve, build.
 */
export type { ControlFields } from './archive/control.ts';
export type { Dependency, DependencyField, Relation } from './archive/dependency.ts';
export { type ArchiveCode, ArchiveError } from './archive/errors.ts';
export { openArchive, openPool } from './archive/open.ts';
export type {
  Archive,
  ArchiveRequest,
  MissingSuite,
  MultiArch,
  PackageFile,
  PackageIndex,
  PackagePool,
  PackageRecord,
  Release,
  SuiteRequest,
} from './archive/types.ts';
export { type SolveCode, SolveError } from './solve/errors.ts';
export { solve } from './solve/solve.ts';
export type { Reason, Solution, SolveRequest } from './solve/types.ts';
