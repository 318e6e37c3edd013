import { AnoleError, type ErrorOptions } from '@anole/bytes';

export type SmcCode =
  /** A CLC message that is cut short, contradicts itself or has impossible fields. */
  | 'SMC_BAD_CLC'
  /** The same of an LLC message. */
  | 'SMC_BAD_LLC'
  /** The same of a CDC message. */
  | 'SMC_BAD_CDC'
  /** A packet of RoCE v2 that is cut short or of a kind that SMC does not use. */
  | 'SMC_BAD_ROCE'
  /** A capture file that is of another format, cut short or damaged. */
  | 'SMC_BAD_CAPTURE'
  /** The other end has broken the rules: cursors that jump, memory not sealed, keys that are unknown. */
  | 'SMC_BAD_PEER'
  /** A link of SMC-R whose other end does not answer any more, or refuses what it is sent. */
  | 'SMC_LINK_LOST'
  /** RoCE or SMC-R cannot be used here: port 4791 is taken, the address is not of this host. */
  | 'SMC_NO_ROCE'
  /** A policy wants shared memory, and the connection cannot have it. */
  | 'SMC_REQUIRED'
  /** A socket over shared memory that cannot be passed: its peer has closed, or TLS has taken it over. */
  | 'SMC_NOT_PASSED'
  /** A policy file that cannot be read. */
  | 'SMC_BAD_POLICY';

export class SmcError extends AnoleError {
  declare readonly code: SmcCode;
  // Narrows the code's type.
  constructor(code: SmcCode, message: string, options: ErrorOptions = {}) {
    super(code, message, options);
  }
}

/** Runs a parser; reads beyond the end of its bytes become an error of `code`. */
export function parsing<T>(code: SmcCode, what: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!AnoleError.is(cause) || !cause.code.startsWith('STRUCT_')) throw cause;
    throw new SmcError(code, `Cannot read ${what}: ${cause.message}`, { cause });
  }
}
