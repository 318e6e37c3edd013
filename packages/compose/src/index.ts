/**
 * OS images from distribution packages: find and verify a package archive, solve, unpack, replay,
 * build.
 *
 * @example
 * import { buildImage, loadRecipe } from '@anole/compose';
 * const recipe = await loadRecipe('base', { architecture: 'riscv64' });
 * await buildImage(recipe, 'base.erofs');
 */
export type { ControlFields } from './archive/control.ts';
export type { Dependency, DependencyField, Relation } from './archive/dependency.ts';
export { type ArchiveCode, ArchiveError } from './archive/errors.ts';
export type { NetworkOptions } from './archive/http.ts';
export { findMirrors, type Mirrors } from './archive/mirror.ts';
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
export {
  type EnsuredImage,
  type EnsuredKernel,
  type EnsureOptions,
  ensureImage,
  fetchKernel,
  fetchKernelModules,
  type KernelOptions,
} from './build/ensure.ts';
export { type BuildCode, BuildError } from './build/errors.ts';
export { type BuildOptions, type BuildResult, buildImage, cachedImage } from './build/image.ts';
export { cachedKernel, type Kernel } from './build/kernel.ts';
export { type LockOptions, lockPath, readLock, updateLock, useLock } from './build/lock-file.ts';
export { checkFormat, type Format, formats } from './build/output.ts';
export type { Resolved, Sources } from './build/resolve.ts';
export { type Deb, openDeb, readControl, readData } from './package/deb.ts';
export { type PackageCode, PackageError } from './package/errors.ts';
export { type RecipeCode, RecipeError } from './recipe/errors.ts';
export { builtInDirectory, type LoadOptions, listRecipes, loadRecipe } from './recipe/load.ts';
export {
  compareLocks,
  type Lock,
  lockDate,
  lockDrift,
  parseLock,
  writeLock,
} from './recipe/lock.ts';
export { parseRecipe } from './recipe/parse.ts';
export type { Recipe } from './recipe/recipe.ts';
export { type Architecture, architectures } from './recipe/schema.ts';
export type { ScriptReport } from './replay/replay.ts';
export { type SolveCode, SolveError } from './solve/errors.ts';
export { solve } from './solve/solve.ts';
export type { Reason, Solution, SolveRequest } from './solve/types.ts';
