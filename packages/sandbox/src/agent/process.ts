import type { SpawnOrder } from './spawn-order.ts';
import { errno, kindOf, openFlags, toolsDirectory } from './system.ts';
import { type Identity, identityOf } from './users.ts';
import { type Refusal, spawnField } from './wire.ts';

/** What a request comes to. */
export interface Examined {
  /** Which of the candidates is the program. */
  readonly candidate: number;
  /** Who runs it; undefined: root. */
  readonly identity: Identity | undefined;
}

/** What is wrong with a request, found before anything is started; else what to run. */
export function examine(order: SpawnOrder): Examined | Refusal {
  const user = order.has(spawnField.user) ? order.text(spawnField.user) : undefined;
  const identity = user === undefined ? undefined : identityOf(user);
  if (user !== undefined && identity === undefined) {
    return { reason: 'user', code: 126, message: `no user or group ${user} in the image` };
  }
  const refusal = checkDirectory(order);
  if (refusal !== undefined) return refusal;
  const candidate = findProgram(order);
  return typeof candidate === 'number' ? { candidate, identity } : candidate;
}

/** What is wrong with the directory that a command wants to be in. */
function checkDirectory(order: SpawnOrder): Refusal | undefined {
  // The root itself, where most commands are.
  if (order.length(spawnField.directory) === 1) return undefined;
  const path = order.text(spawnField.directory);
  const fd = os.open(path, openFlags.path | openFlags.directory);
  if (fd >= 0) os.close(fd);
  if (fd >= 0) return undefined;
  if (fd === -errno.io) return unreadable(path);
  return { reason: 'directory', code: 126, message: `${path} is not a directory of the image` };
}

/** Looks for a program as execvp does. */
function findProgram(order: SpawnOrder): number | Refusal {
  let found = false;
  const { candidates } = order;
  for (let candidate = 0; candidate < candidates.length; candidate++) {
    const path = candidates[candidate]!;
    // Where nothing is, this takes a third of what asking for attributes does.
    if (candidates.length > 1 && isAbsent(path)) continue;
    const kind = kindOf(path);
    if (kind === 'executable') return candidate;
    if (kind === 'unreadable') return unreadable(path);
    if (kind !== 'absent') found = true;
  }
  const program = order.text(spawnField.program);
  return found
    ? { reason: 'not-executable', code: 126, message: `${program}: not an executable file` }
    : { reason: 'not-found', code: 127, message: `${program}: command not found` };
}

function isAbsent(path: string): boolean {
  const fd = os.open(path, openFlags.path);
  if (fd >= 0) os.close(fd);
  return fd < 0 && fd !== -errno.io;
}

/** Nothing can be said of what a damaged image or a failing volume does not show. */
function unreadable(path: string): Refusal {
  return { reason: 'unreadable', code: 125, message: `${path} cannot be read: it is damaged` };
}

/** Runs one of busybox's programs to its end. */
export function busybox(argv: readonly string[]): number {
  return os.exec(argv, { block: true, usePath: false, file: `${toolsDirectory}/busybox`, env: {} });
}

/** Runs one of anole's own programs, which need no arguments, to its end. */
export function run(name: string): number {
  return os.exec([name], {
    block: true,
    usePath: false,
    file: `${toolsDirectory}/${name}`,
    env: {},
  });
}
