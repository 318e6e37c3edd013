import { readFileSync } from 'node:fs';

/** The environment of a process, as one text; nothing where it has ended. */
export const environmentOf = (pid: number): string => textOf(pid, 'environ');

/** Its command line, likewise. */
export const commandOf = (pid: number): string => textOf(pid, 'cmdline');

function textOf(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

/** Whether a process is there, and not only its end. */
export function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** Kills a process that may have ended, or has it end. */
export function endProcess(pid: number, signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has.
  }
}

/** Directories at or below one on which something is mounted, the innermost last. */
export function mountsBelow(directory: string): readonly string[] {
  const table = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return table.flatMap((line) => {
    const point = line.split(' ')[4] ?? '';
    return point === directory || point.startsWith(`${directory}/`) ? [point] : [];
  });
}
