import { readText, writeText } from './system.ts';

/** The control group of all commands (cgroup2; absent where the machine has none). */
const root = '/sys/fs/cgroup';
const group = `${root}/anole`;

/** Limits that were met, for the host: at once, and with the end of a command. */
let onLimit: (limit: 'memory' | 'processes') => void = () => {};
let kills = 0;
let refusals = 0;
let bounded = false;

/** Makes the group; what is put into it is counted, and bounded once the sandbox says by how many. */
export function prepareGroup(): void {
  if (!writeText(`${root}/cgroup.subtree_control`, '+pids')) return;
  os.mkdir(group);
}

/** Puts a process, and all that come of it, into the group. */
export function join(pid: number): void {
  writeText(`${group}/cgroup.procs`, `${pid}`);
}

/** Bounds how many processes and threads commands may have at once. */
export function boundProcesses(count: number | undefined): void {
  if (count === undefined) return;
  bounded = writeText(`${group}/pids.max`, `${count}`);
  if (!bounded) throw new Error('the number of processes cannot be bounded');
}

/** Processes and threads of commands that there are. */
export function processCount(): number {
  return Number(readText(`${group}/pids.current`));
}

/** How often limits were met so far, as far as was looked. */
export interface Met {
  readonly kills: number;
  readonly refusals: number;
}

export function metSoFar(): Met {
  return { kills, refusals };
}

/** Which limits were met since then, as far as was looked. */
export function metSince(since: Met): { readonly memory: boolean; readonly processes: boolean } {
  return { memory: kills > since.kills, processes: refusals > since.refusals };
}

/** Memory of the guest, in KiB. */
export function memoryOf(): { total: number; available: number } {
  const text = readText('/proc/meminfo');
  const field = (name: string) => Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return { total: field('MemTotal'), available: field('MemAvailable') };
}

/** Sets who is told of limits that were met. */
export function reportLimits(handler: (limit: 'memory' | 'processes') => void): void {
  onLimit = handler;
}

/** Looks for all limits. */
export function lookForLimits(): void {
  lookForKills();
  lookForRefusals();
}

/** Looks whether the kernel killed a process for want of memory, and tells the host: a long text. */
export function lookForKills(): void {
  const known = kills;
  kills = countIn('/proc/vmstat', /^oom_kill (\d+)$/m);
  if (kills > known) onLimit('memory');
}

/** Looks whether the kernel refused to make a process, and tells the host. */
export function lookForRefusals(): void {
  if (!bounded) return;
  const known = refusals;
  refusals = countIn(`${group}/pids.events`, /^max (\d+)$/m);
  if (refusals > known) onLimit('processes');
}

function countIn(path: string, pattern: RegExp): number {
  return Number(pattern.exec(readText(path))?.[1] ?? 0);
}
