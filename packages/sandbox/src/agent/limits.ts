import { readBytes, readText, writeBytes, writeText } from './system.ts';

/** The control group of all commands (cgroup2; absent where the machine has none). */
const root = '/sys/fs/cgroup';
const group = `${root}/anole`;

/** Bytes of /proc/meminfo that are looked at: its first lines say all that is wanted, 28 bytes each. */
const threeLines = 84;
/** How far numbers before a line of /proc/vmstat may have moved it. */
const drift = 256;
const killsLine = '\noom_kill ';

/** Where {@link killsLine} was last. */
let killsAt = 0;

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

/** Bounds how many processes and threads commands may have at once: a number in decimal. */
export function boundProcesses(count: Uint8Array): void {
  bounded = writeBytes(`${group}/pids.max`, count);
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
  const [total = '', , available = ''] = readText('/proc/meminfo', threeLines).split('\n');
  const number = (line: string) => Number.parseInt(line.slice(line.indexOf(':') + 1), 10);
  return { total: number(total), available: number(available) };
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

/** Looks whether the kernel killed a process for want of memory, and tells the host. */
export function lookForKills(): void {
  const known = kills;
  kills = killsSoFar();
  if (kills > known) onLimit('memory');
}

/** Of some two hundred lines, of which a string is never made: this is done all the time. */
function killsSoFar(): number {
  const text = readBytes('/proc/vmstat');
  let at = lineIn(text, killsLine, Math.max(0, killsAt - drift));
  if (at < 0) at = lineIn(text, killsLine, 0);
  if (at < 0) return 0;
  killsAt = at;
  let count = 0;
  for (let digit = at + killsLine.length; text[digit]! >= 48; digit++) {
    count = 10 * count + text[digit]! - 48;
  }
  return count;
}

/** Where a line begins, or rather the end of the one before it; -1: nowhere. */
function lineIn(text: Uint8Array, line: string, from: number): number {
  for (let at = text.indexOf(10, from); at >= 0; at = text.indexOf(10, at + 1)) {
    let same = 1;
    while (same < line.length && text[at + same] === line.charCodeAt(same)) same++;
    if (same === line.length) return at;
  }
  return -1;
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
