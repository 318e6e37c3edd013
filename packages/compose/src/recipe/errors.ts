import { AnoleError, type ErrorOptions } from '@anole/bytes';

export type RecipeCode =
  /** No file, and no built-in recipe, of that name. */
  | 'RECIPE_NOT_FOUND'
  /** Not YAML, or not what the schema asks for. */
  | 'RECIPE_INVALID'
  /** Recipes that extend each other in a circle, or too deep. */
  | 'RECIPE_BAD_EXTENDS'
  /** An architecture that images are not made for. */
  | 'RECIPE_BAD_ARCHITECTURE'
  /** A lock file that cannot be read, or was written for another recipe or architecture. */
  | 'LOCK_INVALID'
  /** `--locked` without a lock file. */
  | 'LOCK_MISSING'
  /** `--locked` with a lock file that does not fit the recipe any more. */
  | 'LOCK_DRIFT';

/** Raised by what reads recipes and locks. */
export class RecipeError extends AnoleError {
  declare readonly code: RecipeCode;
  constructor(code: RecipeCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}
