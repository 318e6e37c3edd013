import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { hostError } from '../errors.ts';
import { check, closeDescriptor, native } from './koffi.ts';

const syscall = native('long syscall(long number, unsigned long a, unsigned long b, long c)');

/** The same numbers on all architectures (asm-generic/unistd.h). */
const CLOSE_RANGE = 436;
const CLOSE_RANGE_CLOEXEC = 4;
const PIDFD_OPEN = 434;
const PIDFD_GETFD = 438;
/** The first descriptor that a holder has of its maker. */
const FIRST = 3;
/** Fields of /proc/PID/stat behind the name, which may have any byte but ")". */
const STATE = 0;
const USER_TIME = 11;
const SYSTEM_TIME = 12;
const START_TIME = 19;
/** Milliseconds of a tick of /proc: USER_HZ is 100 wherever Linux runs. */
const TICK = 10;

/** A process that cannot be taken for another, also where its number has come again, or a new boot. */
export interface ProcessId {
  readonly pid: number;
  readonly since: string;
}

/** A process that holds descriptors and does nothing else. */
export interface Holder {
  readonly id: ProcessId;
  /**
   * Makes it stay when this process ends. Until then it ends with it: whoever is to find it must have been
   * told of it before.
   */
  stay(): Promise<void>;
}

/**
 * Gives copies of descriptors to a process that sleeps, in a session of its own: what they keep alive lives on
 * when this process is killed, and {@link takeDescriptors} gets them back. It needs 2 MB.
 *
 * @throws HostError where it cannot be started
 */
export async function holdDescriptors(descriptors: readonly number[]): Promise<Holder> {
  // What this process was born with and does not know of, such as a lock of its shell's, must not be held.
  check(Number(syscall(CLOSE_RANGE, FIRST, 0xffff_ffff, CLOSE_RANGE_CLOEXEC)), 'close descriptors');
  const script = 'read -r word && exec sleep infinity';
  const child = spawn('/bin/sh', ['-c', script], {
    cwd: '/',
    detached: true,
    env: { PATH: '/usr/bin:/bin' },
    stdio: ['pipe', 'ignore', 'ignore', ...descriptors],
  });
  await once(child, 'spawn').catch((error: unknown) => {
    throw hostError(error, 'start a process that holds descriptors');
  });
  child.unref();
  const input = child.stdin!;
  input.on('error', () => {});
  (input as typeof input & { unref(): void }).unref();
  const id = processId(child.pid!)!;
  try {
    // Without what it holds, much would be lost; and its memory is nothing.
    writeFileSync(`/proc/${id.pid}/oom_score_adj`, '-1000');
  } catch {
    // Only root may.
  }
  return { id, stay: () => new Promise((resolve) => input.end('stay\n', () => resolve())) };
}

/**
 * Copies of the descriptors that a process holds, in the order in which they were given to it; undefined where
 * it is gone. Needs root, or the right to trace it (pidfd_getfd(2)).
 *
 * @throws HostError
 */
export function takeDescriptors(id: ProcessId, count: number): readonly number[] | undefined {
  if (!isRunning(id)) return undefined;
  const process = check(Number(syscall(PIDFD_OPEN, id.pid, 0, 0)), 'open a process');
  const taken: number[] = [];
  try {
    for (let at = 0; at < count; at++) {
      const fd = Number(syscall(PIDFD_GETFD, process, FIRST + at, 0));
      taken.push(check(fd, 'take a descriptor of a process'));
    }
    return taken;
  } catch (error) {
    for (const fd of taken) closeDescriptor(fd);
    throw error;
  } finally {
    closeDescriptor(process);
  }
}

/** Which process has a number now. */
export function processId(pid: number): ProcessId | undefined {
  const fields = statOf(pid);
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return fields && { pid, since: `${boot} ${fields[START_TIME]}` };
}

/** Whether a process is there, and not just its exit code. */
export function isRunning(id: ProcessId): boolean {
  return processId(id.pid)?.since === id.since && !/[ZX]/.test(statOf(id.pid)?.[STATE] ?? 'X');
}

/** What the first thread of a process does. */
export interface Activity {
  /** Whether it computes, could if it were its turn, or waits for a disk. */
  readonly isRunnable: boolean;
  /** Processor time since its start, in milliseconds. */
  readonly used: number;
}

/** What the first thread of a process does, whatever others do; undefined where the process is gone. */
export function activityOf(pid: number): Activity | undefined {
  const fields = statOf(`${pid}/task/${pid}`);
  if (fields === undefined) return undefined;
  const ticks = Number(fields[USER_TIME]) + Number(fields[SYSTEM_TIME]);
  return { isRunnable: /[RD]/.test(fields[STATE] ?? ''), used: TICK * ticks };
}

/** Kills a process, if it is there. */
export function killProcess(id: ProcessId): void {
  try {
    if (isRunning(id)) process.kill(id.pid, 'SIGKILL');
  } catch {
    // It has ended in this moment.
  }
}

/** @param process its number, or that of a thread below it. Source: proc_pid_stat(5) */
function statOf(process: number | string): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${process}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
