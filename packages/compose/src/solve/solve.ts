import type { PackageIndex } from '../archive/types.ts';
import { SolveError } from './errors.ts';
import type { Solution, SolveRequest } from './types.ts';

/**
 * Chooses the packages that a fresh system with the request has, as apt would.
 *
 * @throws SolveError `SOLVE_UNSATISFIABLE` with the chain of who wanted what.
 */
export function solve(index: PackageIndex, request: SolveRequest): Solution {
  throw new SolveError(
    'SOLVE_UNSATISFIABLE',
    `Cannot solve for ${request.packages.length} of ${index.size} packages yet`,
  );
}
