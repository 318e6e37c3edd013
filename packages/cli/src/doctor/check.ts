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

const marks = { ok: 'ok      ', optional: 'optional', missing: 'MISSING ' } as const;

/** One line, and what to do on a second one. */
export function renderFinding({ name, state, found, next }: Finding): string {
  const line = `${marks[state]}  ${name.padEnd(12)} ${found}`;
  return next === undefined || state === 'ok' ? line : `${line}\n${' '.repeat(23)}${next}`;
}
