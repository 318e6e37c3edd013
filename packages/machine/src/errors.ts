import { AnoleError, type ErrorOptions } from '@anole/bytes';

export type MachineCode =
  /** A device tree that cannot be written: too long a name, a bad value. */
  | 'MACHINE_BAD_DEVICE_TREE'
  /** A file that is not an ELF program the machine could run. */
  | 'MACHINE_BAD_ELF'
  /** A kernel that is not a Linux Image. */
  | 'MACHINE_BAD_KERNEL'
  /** Options that contradict each other or lie outside what the machine has. */
  | 'MACHINE_BAD_OPTION'
  /** A program met `--max-instructions`. */
  | 'MACHINE_INSTRUCTION_LIMIT'
  /** A program waits for an interrupt that cannot come. */
  | 'MACHINE_STUCK'
  /** A snapshot whose bytes are not those that were written, or not all of them. */
  | 'MACHINE_SNAPSHOT_DAMAGED'
  /** No snapshot at all, or one of another machine: other devices, another kernel. */
  | 'MACHINE_SNAPSHOT_FOREIGN'
  /** A snapshot that another version wrote. */
  | 'MACHINE_SNAPSHOT_VERSION'
  /** More bytes than the guest's RAM holds. */
  | 'MACHINE_TOO_LARGE'
  /** A program or kernel for another processor. */
  | 'MACHINE_WRONG_ARCHITECTURE'
  /** A call that does not fit the machine's state: run twice at once, written to when closed. */
  | 'MACHINE_WRONG_STATE'
  /** A guest that drives a device against its specification; caught by the device itself. */
  | 'MACHINE_DEVICE_MISUSED';

/** Raised by the machine for what it foresees. A guest's own faults are traps, never errors. */
export class MachineError extends AnoleError {
  declare readonly code: MachineCode;
  constructor(code: MachineCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}
