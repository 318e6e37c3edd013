export interface JitOptions {
  /**
   * Jumps to a place until it is compiled: see `docs/decisions/0037-compiling-pays-off-late.md`. What reaches over the
   * ends of pages is compiled anew after so many times, too, or 256.
   */
  readonly threshold: number;
  /**
   * The same for the first 200 million instructions: who starts a machine for one short command pays
   * for no compiling but of loops. Default: `threshold`.
   */
  readonly coldThreshold?: number;
  /**
   * Jumps to a place, a power of two, until its page is decoded: see `docs/decisions/0232-decoded-pages.md`. Before
   * the hart is warm (see `coldThreshold`) it is {@link COLD_JUMPS}, unless places are compiled from the start as they
   * are later. Default: 256.
   */
  readonly warmAfter?: number;
  /** Pages that are decoded at the same time. Default, and at the most: 2038. */
  readonly frames?: number;
  /**
   * Places that are compiled together. With 1 at once, else between slices: when there are so many, or
   * when one of them became hot once more.
   */
  readonly batch: number;
  /**
   * Compile in a thread of its own where there are threads, and RAM is not shared: code is entered when the
   * host's event loop has turned. Default false.
   */
  readonly apart?: boolean;
  /** Functions that are kept; when there are more, the oldest are dropped. Default 16384. */
  readonly capacity?: number;
}

/** Jumps to a place until its page is decoded, as long as the hart is cold: what is loaded for it takes time. */
export const COLD_JUMPS = 32_768;

export const defaultJit: JitOptions = {
  threshold: 16_000,
  coldThreshold: 32_000,
  batch: 32,
  apart: true,
};

/** What a caller asks for, as a hart takes it: absent for no compiling. */
export function jitOptions(jit: boolean | JitOptions = true): { readonly jit?: JitOptions } {
  if (jit === false) return {};
  return { jit: jit === true ? defaultJit : jit };
}
