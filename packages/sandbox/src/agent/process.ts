import { kindOf, toolsDirectory } from './system.ts';
import { type Identity, identityOf } from './users.ts';
import type { Refusal, SpawnOrder } from './wire.ts';

const root: Identity = { uid: 0, gid: 0, groups: [], home: '/root' };

/** What a request comes to: the file of its program, and who runs it. */
export interface Examined {
  readonly path: string;
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
  const path = findProgram(order.program, order.path, order.cwd);
  return typeof path === 'string' ? { path, identity } : path;
}

/** Looks for a program as execvp does, and gives its path. */
function findProgram(name: string, path: string, cwd: string): string | Refusal {
  const candidates = name.includes('/')
    ? [name.startsWith('/') ? name : `${cwd}/${name}`]
    : path.split(':').map((directory) => `${directory === '' ? cwd : directory}/${name}`);
  let found = false;
  for (const candidate of name === '' ? [] : candidates) {
    const kind = kindOf(candidate);
    if (kind === 'executable') return candidate;
    if (kind === 'unreadable') return unreadable(candidate);
    if (kind !== 'absent') found = true;
  }
  return found
    ? { reason: 'not-executable', code: 126, message: `${name}: not an executable file` }
    : { reason: 'not-found', code: 127, message: `${name}: command not found` };
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
