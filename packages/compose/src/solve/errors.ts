import { AnoleError, type ErrorOptions } from '@anole/bytes';

export type SolveCode =
  /** A package that was asked for by name does not exist. */
  | 'SOLVE_NO_SUCH_PACKAGE'
  /** A request such as `a=b=c`. */
  | 'SOLVE_BAD_REQUEST'
  /** The search was given up. */
  | 'SOLVE_TOO_HARD'
  | 'SOLVE_UNSATISFIABLE';

/** Raised by the solver. */
export class SolveError extends AnoleError {
  declare readonly code: SolveCode;
  constructor(code: SolveCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}
