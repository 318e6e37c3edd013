import { ContainerdError } from '../errors.ts';
import type { OnDemandLayer, Snapshot, SnapshotKind, Usage } from './snapshot.ts';

/**
 * A snapshot's note, read.
 *
 * @throws ContainerdError `CONTAINERD_BAD_MESSAGE` where it is none: then the disk is damaged, or another
 *   program has written there
 */
export function readSnapshot(text: string, id: string): Snapshot {
  const note = objectIn(text, id);
  const { kind, name, parent, labels, created, updated, usage, onDemand, isFlat } = note;
  const isSound =
    note['id'] === id &&
    isKind(kind) &&
    typeof name === 'string' &&
    (parent === undefined || typeof parent === 'string') &&
    isLabels(labels) &&
    Number.isFinite(created) &&
    Number.isFinite(updated) &&
    (usage === undefined || isUsage(usage)) &&
    (onDemand === undefined || isOnDemand(onDemand)) &&
    (isFlat === undefined || typeof isFlat === 'boolean');
  if (isSound) return note as unknown as Snapshot;
  throw damaged(id, 'a field is missing or wrong');
}

function objectIn(text: string, id: string): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>;
  } catch {
    throw damaged(id, 'it is no JSON');
  }
}

function isKind(value: unknown): value is SnapshotKind {
  return value === 'view' || value === 'active' || value === 'committed';
}

function isLabels(value: unknown): value is Snapshot['labels'] {
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value).every((each) => typeof each === 'string');
}

function isUsage(value: unknown): value is Usage {
  const { size, inodes } = Object(value) as Partial<Usage>;
  return Number.isFinite(size) && Number.isFinite(inodes);
}

function isOnDemand(value: unknown): value is OnDemandLayer {
  const { original, variant, depth, isLast } = Object(value) as Partial<OnDemandLayer>;
  return (
    typeof original === 'string' &&
    typeof variant === 'string' &&
    Number.isSafeInteger(depth) &&
    typeof isLast === 'boolean'
  );
}

function damaged(id: string, why: string): ContainerdError {
  return new ContainerdError(
    'CONTAINERD_BAD_MESSAGE',
    `Cannot read the note of snapshot ${id}: ${why}`,
    { hint: 'Remove its directory; containerd pulls its images again.' },
  );
}
