import type { FloatOperation } from '../../isa/ir.ts';
import { br, type Code, type Label, type Local } from '../../wasm/code.ts';
import type { ValueType } from '../../wasm/opcodes.ts';

export interface QuickContext {
  local(type: ValueType): Local;
  /** i32: not 0 where frm is RNE, NX is set already and FS is dirty. */
  readonly quick: Local;
  /** The rm field as i32, for instructions that have one. */
  readonly roundingMode: Code | undefined;
  /** Where to go when the exact way is needed. */
  readonly slow: Label;
}

/** A floating-point operation by the host's own arithmetic, where that is exact. */
export function quickFloat(
  _operation: FloatOperation,
  _args: readonly Code[],
  context: QuickContext,
): Code {
  return br(context.slow);
}
