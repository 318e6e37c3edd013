export interface JitOptions {
  /** Jumps to a place until it is compiled. */
  readonly threshold: number;
  /**
   * The same for the first 200 million instructions: who starts a machine for one short command pays
   * for no compiling but of loops. Default: `threshold`.
   */
  readonly coldThreshold?: number;
  /**
   * Instructions to be executed for each one that is compiled: where less are, as wide code that is
   * executed some thousand times has it, thresholds rise up to 32 times. Default: 0, they stay.
   */
  readonly pace?: number;
  /** Places that are compiled together. With 1 at once, else between slices. */
  readonly batch: number;
  /** Functions that are kept; when there are more, the oldest are dropped. Default 16384. */
  readonly capacity?: number;
}

export const defaultJit: JitOptions = {
  threshold: 1000,
  coldThreshold: 32_000,
  pace: 3_000,
  batch: 32,
};
