/** Which interpreter is made. */
export interface InterpreterOptions {
  /** Whether relaxed_madd rounds once, see {@link ./fused.ts}. */
  readonly fused: boolean;
  /** Whether there may be compiled code, in the table of functions. */
  readonly compiles: boolean;
  /** Whether RAM is a memory of its own, which other harts work on. */
  readonly shared: boolean;
}

/** Whether pages may be decoded. */
export const decodes = ({ compiles, shared }: InterpreterOptions): boolean => compiles && !shared;
