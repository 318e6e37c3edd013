import type { ProcessId } from '@anole/host/native';
import type { MountRecord } from './mount-record.ts';
import type { HolderNote, Notes } from './notes.ts';

/** Whether a value is notes of a keeper, as far as whoever goes on relies on it. */
export function areNotes(value: unknown): value is Notes {
  if (!isObject(value)) return false;
  const { version, holders, service, mounts } = value;
  return (
    version === 1 &&
    isListOf(holders, isHolder) &&
    isListOf(mounts, isRecord) &&
    (service === undefined || isProcess(service))
  );
}

function isHolder(value: unknown): value is HolderNote {
  if (!isObject(value)) return false;
  return (
    isProcess(value['id']) &&
    isListOf(value['names'], isText) &&
    typeof value['hasGroup'] === 'boolean'
  );
}

function isProcess(value: unknown): value is ProcessId {
  if (!isObject(value)) return false;
  const { pid, since } = value;
  return Number.isSafeInteger(pid) && Number(pid) > 0 && isText(since);
}

function isRecord(value: unknown): value is MountRecord {
  if (!isObject(value)) return false;
  const { directory, kind, image, since } = value;
  return (
    isText(directory) &&
    directory.startsWith('/') &&
    (kind === 'kernel' || kind === 'fuse') &&
    isObject(image) &&
    isText(image['name']) &&
    isListOf(image['layers'], isLayer) &&
    typeof since === 'number'
  );
}

function isLayer(value: unknown): boolean {
  return isObject(value) && isText(value['digest']) && typeof value['size'] === 'number';
}

function isListOf<T>(value: unknown, isOne: (each: unknown) => each is T): value is readonly T[];
function isListOf(value: unknown, isOne: (each: unknown) => boolean): boolean;
function isListOf(value: unknown, isOne: (each: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isOne);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
