const brand = Symbol.for('anole.error');

/** What an {@link AnoleError} may carry beside its message. */
export interface ErrorOptions {
  /** Values met, for programs: offsets, sizes, names. Must survive JSON. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
  /** What the user can do next, as a sentence. */
  readonly hint?: string;
}

/**
 * The error every anole package raises for what it foresees: bytes from outside that are wrong,
 * a resource that is missing, a limit that was met. `code` is stable and is what programs match;
 * its prefix names the package (`EROFS_BAD_SUPERBLOCK`).
 */
export class AnoleError extends Error {
  readonly code: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly hint: string | undefined;

  constructor(code: string, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.details = options.details ?? {};
    this.hint = options.hint;
    Object.defineProperty(this, brand, { value: true });
  }

  /** True for errors of any copy of this library, also across realms. */
  static is(value: unknown): value is AnoleError {
    return typeof value === 'object' && value !== null && brand in value;
  }
}
