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

/** Whether the kernel killed a process for want of memory since then (/proc/vmstat). */
export function ranOutOfMemory(since: Met): boolean {
  const before = kills;
  kills = Number(/^oom_kill (\d+)$/m.exec(readText('/proc/vmstat'))?.[1] ?? 0);
  if (kills > before) onLimit('memory');
  return kills > since.kills;
}

/** Whether the kernel refused to make a process since then. */
export function ranOutOfProcesses(since: Met): boolean {
  if (!bounded) return false;
  const before = refusals;
  refusals = Number(/^max (\d+)$/m.exec(readText(`${group}/pids.events`))?.[1] ?? 0);
  if (refusals > before) onLimit('processes');
  return refusals > since.refusals;
}

/** Memory of the guest, in KiB. */
export function memoryOf(): { total: number; available: number } {
  const text = readText('/proc/meminfo');
  const field = (name: string) => Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return { total: field('MemTotal'), available: field('MemAvailable') };
}

/** Sets who is told of limits, and looks for those that were met. */
export function reportLimits(handler: (limit: 'memory' | 'processes') => void): void {
  onLimit = handler;
}

export function lookForLimits(): void {
  ranOutOfMemory(metSoFar());
  ranOutOfProcesses(metSoFar());
}
