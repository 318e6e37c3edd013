import { hash } from 'node:crypto';
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HostError, systemCode, writeFileAtomically } from '@anole/host';
import { killProcess, type ProcessId, takeDescriptors, unmount } from '@anole/host/native';
import type { MountRecord } from './mount-record.ts';
import { MountTable } from './mount-table.ts';
import { areNotes } from './note-shape.ts';

/** A process that holds what mounts stand on: by their names, behind the group of events if it has that. */
export interface HolderNote {
  readonly id: ProcessId;
  readonly names: readonly string[];
  readonly hasGroup: boolean;
}

/** What a keeper writes down for the one that starts after it was killed. */
export interface Notes {
  readonly version: 1;
  /** Any of them will do, as long as it runs. The newest first. */
  readonly holders: readonly HolderNote[];
  readonly service?: ProcessId;
  readonly mounts: readonly MountRecord[];
}

/** What was saved of a keeper that was killed. */
export interface Rescued {
  readonly mounts: readonly MountRecord[];
  readonly kept: ReadonlyMap<string, number>;
  readonly group?: number;
}

/** Where the notes are of the keeper of a service with that socket. */
export function notesPath(cache: string, socket: string): string {
  return join(cache, `mounts-${hash('sha256', socket, 'hex').slice(0, 16)}.json`);
}

/** Bytes that are kept free for notes: what they say is what makes room on a full disk. */
const ROOM = 64 * 1024;
const roomOf = (path: string) => `${path}.room`;

/** @throws HostError `HOST_NO_SPACE` where not even the room that was kept for it is there */
export async function writeNotes(path: string, notes: Omit<Notes, 'version'>): Promise<void> {
  const text = `${JSON.stringify({ version: 1, ...notes })}\n`;
  // Whose mounts they are, and of which images, is nobody else's business.
  const options = { mode: 0o600 };
  await writeFileAtomically(path, text, options).catch(async (error: unknown) => {
    if (!(error instanceof HostError && error.code === 'HOST_NO_SPACE')) throw error;
    await rm(roomOf(path), { force: true });
    await writeFileAtomically(path, text, options);
  });
  await keepRoom(roomOf(path));
}

/** Takes room while there is some. */
async function keepRoom(path: string): Promise<void> {
  const { size = 0 } = (await stat(path).catch(() => undefined)) ?? {};
  if (size === ROOM) return;
  await writeFile(path, new Uint8Array(ROOM), { mode: 0o600 }).catch(() =>
    rm(path, { force: true }),
  );
}

export async function removeNotes(path: string): Promise<void> {
  await rm(path, { force: true });
  await rm(roomOf(path), { force: true });
}

/**
 * Notes are of this computer's root: nobody else may write them.
 *
 * @param onWrong told where to what is there was moved, since it is none: then it is as if there were none
 */
export async function readNotes(
  path: string,
  onWrong: (moved: string) => void,
): Promise<Notes | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  const notes = parsed(text);
  if (areNotes(notes)) return notes;
  const aside = `${path}.wrong`;
  await rename(path, aside);
  onWrong(aside);
  return undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Takes the descriptors from a holder; undefined where all are gone. */
export async function rescue({ holders, mounts }: Notes): Promise<Rescued | undefined> {
  for (const { id, names, hasGroup } of holders) {
    const taken = takeDescriptors(id, names.length + (hasGroup ? 1 : 0));
    if (taken === undefined) continue;
    const [group] = hasGroup ? taken : [];
    const kept = new Map(taken.slice(hasGroup ? 1 : 0).map((fd, at) => [names[at]!, fd]));
    const table = MountTable.read();
    const seen = mounts.map((each) => (table.has(each) ? each : { ...each, isDetached: true }));
    return { mounts: seen, kept, ...(group !== undefined && { group }) };
  }
  return undefined;
}

/**
 * Takes away mounts that nobody can serve any more: their holes would be read as zeros.
 *
 * @returns directories that were mounted
 */
export function clearMounts({ mounts }: Notes): readonly string[] {
  const table = MountTable.read();
  return mounts.flatMap((each) => {
    // Below what somebody else has mounted there it cannot be reached.
    if (!table.shows(each)) return [];
    unmount(each.directory, { lazy: true });
    return [each.directory];
  });
}

export function endHolders(holders: readonly HolderNote[]): void {
  for (const { id } of holders) killProcess(id);
}
