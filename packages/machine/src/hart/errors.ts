import { AnoleError, type ErrorOptions } from '@anole/bytes';

export type HartCode =
  /** A physical address range that does not lie inside guest RAM. */
  | 'MACHINE_BAD_ADDRESS'
  /** A RAM size that cannot be had, or a state block that does not fit this hart. */
  | 'MACHINE_BAD_CONFIG'
  /** The host's WebAssembly cannot run the interpreter. */
  | 'MACHINE_NO_WASM'
  /** Text that the assembler does not understand. */
  | 'MACHINE_BAD_ASSEMBLY';

export class HartError extends AnoleError {
  declare readonly code: HartCode;
  constructor(code: HartCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}
