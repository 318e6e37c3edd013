import { kindOf, toolsDirectory } from './system.ts';
import { type Identity, identityOf } from './users.ts';
import type { Candidate, Refusal, SpawnOrder } from './wire.ts';

const root: Identity = { uid: 0, gid: 0, groups: [], home: '/root' };

/** What a request comes to: the file of its program, and who runs it. */
export interface Examined {
  readonly program: Candidate;
  readonly identity: Identity;
}

/** What is wrong with a request, found before anything is started; else what to run. */
export function examine(order: SpawnOrder): Examined | Refusal {
  const identity = order.user === undefined ? root : identityOf(order.user);
  if (identity === undefined) {
    return { reason: 'user', code: 126, message: `no user or group ${order.user} in the image` };
  }
  const place = kindOf(order.cwd);
  if (place === 'unreadable') return unreadable(order.cwd);
  if (place !== 'directory') {
    return {
      reason: 'directory',
      code: 126,
      message: `${order.cwd} is not a directory of the image`,
    };
  }
  const program = findProgram(order);
  return 'reason' in program ? program : { program, identity };
}

/** Looks for a program as execvp does. */
function findProgram({ program, candidates }: SpawnOrder): Candidate | Refusal {
  let found = false;
  for (const candidate of candidates) {
    const kind = kindOf(candidate.file);
    if (kind === 'executable') return candidate;
    if (kind === 'unreadable') return unreadable(candidate.file);
    if (kind !== 'absent') found = true;
  }
  return found
    ? { reason: 'not-executable', code: 126, message: `${program}: not an executable file` }
    : { reason: 'not-found', code: 127, message: `${program}: command not found` };
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
