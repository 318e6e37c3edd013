import { AnoleError, type ErrorOptions } from '@anole/bytes';

export type BuildCode =
  /** A file that a recipe names cannot be put into the image. */
  | 'BUILD_BAD_FILE'
  /** A user or group of a recipe that does not fit the packages. */
  | 'BUILD_BAD_USER'
  /** The recipe names no kernel, or its package holds none. */
  | 'BUILD_NO_KERNEL'
  | 'BUILD_BAD_FORMAT'
  /** The place of the output cannot be written. */
  | 'BUILD_BAD_OUTPUT';

/** Raised by what makes images. */
export class BuildError extends AnoleError {
  declare readonly code: BuildCode;
  constructor(code: BuildCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}
