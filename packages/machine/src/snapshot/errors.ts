import { MachineError } from '../errors.ts';

export function damaged(what: string, cause?: unknown): MachineError {
  return new MachineError('MACHINE_SNAPSHOT_DAMAGED', `Cannot restore the snapshot: ${what}`, {
    ...(cause !== undefined && { cause }),
    hint: 'make it again',
  });
}

export function foreign(what: string): MachineError {
  return new MachineError('MACHINE_SNAPSHOT_FOREIGN', `Cannot restore the snapshot: ${what}`, {
    hint: 'restore it with the devices and files that it was made with',
  });
}
