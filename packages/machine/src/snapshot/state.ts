import { damaged } from './errors.ts';

/**
 * States of devices as JSON and back. A state is a plain object of numbers, bigints, booleans, typed
 * arrays, arrays and further states. What comes back goes into a state of the same shape: its types
 * and lengths decide what is accepted.
 */

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

/** Elements of an array without fixed length: the FIFO of the serial port. */
const MAX_LIST = 64;

export function stateToJson(value: unknown): Json {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array || value instanceof Uint32Array) return [...value];
  if (Array.isArray(value)) return value.map(stateToJson);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [key, stateToJson(each)] as const),
    );
  }
  return value as Json;
}

/**
 * Puts what {@link stateToJson} gave into `target`, all its fields.
 *
 * @throws MachineError `MACHINE_SNAPSHOT_DAMAGED` where a field is missing or of another kind
 */
export function stateFromJson(target: object, saved: Json | undefined, path: string): void {
  if (typeof saved !== 'object' || saved === null) throw damaged(`no state of ${path}`);
  const fields = saved as Readonly<Record<string, Json>>;
  const into = target as Record<string, unknown>;
  for (const [key, old] of Object.entries(into)) {
    const where = `${path}.${key}`;
    if (!Object.hasOwn(fields, key)) throw damaged(`no state of ${where}`);
    const restored = restoredValue(old, fields[key]!, where);
    if (restored !== undefined) into[key] = restored;
  }
}

/** The value to set, or undefined where `old` was changed itself. */
function restoredValue(old: unknown, saved: Json, where: string): unknown {
  if (typeof old === 'number' && Number.isSafeInteger(saved) && Number(saved) >= 0) return saved;
  if (typeof old === 'boolean' && typeof saved === 'boolean') return saved;
  if (typeof old === 'bigint' && typeof saved === 'string' && /^-?\d{1,20}$/.test(saved)) {
    return BigInt(saved);
  }
  if (old instanceof Uint8Array || old instanceof Uint32Array) {
    old.set(numbersOf(saved, old.length, 256 ** old.BYTES_PER_ELEMENT, where));
    return undefined;
  }
  if (Array.isArray(old)) return restoredList(old, saved, where);
  if (typeof old === 'object' && old !== null) {
    stateFromJson(old, saved, where);
    return undefined;
  }
  throw damaged(`a bad value of ${where}`);
}

function restoredList(old: readonly unknown[], saved: Json, where: string): unknown {
  if (!Array.isArray(saved)) throw damaged(`a bad value of ${where}`);
  // Lists of states have a fixed length; those of bytes change theirs.
  if (old.some((each) => typeof each === 'object')) {
    if (saved.length !== old.length) throw damaged(`a bad length of ${where}`);
    for (const [index, each] of old.entries()) {
      restoredValue(each, saved[index]!, `${where}[${index}]`);
    }
    return undefined;
  }
  if (saved.length > MAX_LIST) throw damaged(`a bad length of ${where}`);
  return [...numbersOf(saved, saved.length, 256, where)];
}

function numbersOf(saved: Json, length: number, limit: number, where: string): number[] {
  const valid =
    Array.isArray(saved) &&
    saved.length === length &&
    saved.every((each) => Number.isInteger(each) && each >= 0 && each < limit);
  if (!valid) throw damaged(`a bad value of ${where}`);
  return saved as number[];
}
