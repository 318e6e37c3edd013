import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode, writeFileAtomically } from '@anole/host';
import { killProcess, type ProcessId, takeDescriptors, unmount } from '@anole/host/native';
import type { MountRecord } from './service.ts';

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

export async function writeNotes(path: string, notes: Omit<Notes, 'version'>): Promise<void> {
  await writeFileAtomically(path, `${JSON.stringify({ version: 1, ...notes })}\n`);
}

/** Notes are of this computer's root: nobody else may write them. What is none is as if there were none. */
export async function readNotes(path: string): Promise<Notes | undefined> {
  try {
    const notes = JSON.parse(await readFile(path, 'utf8')) as Notes;
    return notes?.version === 1 ? notes : undefined;
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Takes the descriptors from a holder; undefined where all are gone. */
export async function rescue({ holders, mounts }: Notes): Promise<Rescued | undefined> {
  for (const { id, names, hasGroup } of holders) {
    const taken = takeDescriptors(id, names.length + (hasGroup ? 1 : 0));
    if (taken === undefined) continue;
    const [group] = hasGroup ? taken : [];
    const kept = new Map(taken.slice(hasGroup ? 1 : 0).map((fd, at) => [names[at]!, fd]));
    const table = await mountTable();
    const seen = mounts.map((each) =>
      isMounted(table, each.directory) ? each : { ...each, isDetached: true },
    );
    return { mounts: seen, kept, ...(group !== undefined && { group }) };
  }
  return undefined;
}

/**
 * Takes away mounts that nobody can serve any more: their holes would be read as zeros.
 *
 * @returns directories that were mounted
 */
export async function clearMounts({ mounts }: Notes): Promise<readonly string[]> {
  const table = await mountTable();
  return mounts.flatMap(({ directory }) => {
    if (!isMounted(table, directory)) return [];
    unmount(directory, { lazy: true });
    return [directory];
  });
}

export function endHolders(holders: readonly HolderNote[]): void {
  for (const { id } of holders) killProcess(id);
}

function mountTable(): Promise<string> {
  return readFile('/proc/self/mountinfo', 'utf8');
}

/** A path as mountinfo writes it (proc_pid_mountinfo(5)). */
function isMounted(table: string, directory: string): boolean {
  const path = directory.replace(
    /[\\ \t\n]/g,
    (each) => `\\${each.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
  return table.includes(` ${path} `);
}
