import { readFileSync } from 'node:fs';

/** The environment of a process, as one text; nothing where it has ended. */
export function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8');
  } catch {
    return '';
  }
}

/** Kills a process that may have ended. */
export function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
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
