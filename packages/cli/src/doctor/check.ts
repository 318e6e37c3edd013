/** What was found of one thing this computer may offer. */
export interface Finding {
  /** Short and stable: a key for programs. */
  readonly name: string;
  /**
   * `ok`: there. `optional`: missing, and `anole run` works without it. `missing`: needed.
   */
  readonly state: 'ok' | 'optional' | 'missing';
  /** What was found, as a phrase. */
  readonly found: string;
  /** What to do about it. */
  readonly next?: string;
}

/** One thing to look at. Must not fail: what it meets is its finding. */
export type Check = () => Finding | Promise<Finding>;
