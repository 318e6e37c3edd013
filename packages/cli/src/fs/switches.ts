import { usageError } from '../frame.ts';

/** Of a switch of mkfs.erofs that may have a value: 1, as without, or 0. */
export function isOn(option: string, value: string | true): boolean {
  if (value === '0') return false;
  if (value === true || value === '1') return true;
  throw usageError(`Cannot use ${option}=${value}: give 0 or 1`, 'fs mk');
}
