import { kindOf, openFlags, toolsDirectory } from './system.ts';
import { type Identity, identityOf } from './users.ts';
import type { Refusal, SpawnRequest } from './wire.ts';

/** Descriptors a command starts with. */
export interface Descriptors {
  readonly stdin: number;
  readonly stdout: number;
  readonly stderr: number;
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const root: Identity = { uid: 0, gid: 0, groups: [], home: '/root' };

/** What is wrong with a request, found before anything is started; else who the command runs as. */
export function examine(
  request: SpawnRequest,
): { identity: Identity; env: Record<string, string> } | Refusal {
  const identity = request.user === undefined ? root : identityOf(request.user);
  if (identity === undefined) {
    return { reason: 'user', code: 126, message: `no user or group ${request.user} in the image` };
  }
  const env = { PATH: defaultPath, HOME: identity.home, ...request.env };
  const place = kindOf(request.cwd);
  if (place === 'unreadable') return unreadable(request.cwd);
  if (place !== 'directory') {
    return {
      reason: 'directory',
      code: 126,
      message: `${request.cwd} is not a directory of the image`,
    };
  }
  return findProgram(request.argv[0] ?? '', env.PATH, request.cwd) ?? { identity, env };
}

/** Looks for a program as execvp does. Undefined when it is there. */
function findProgram(name: string, path: string, cwd: string): Refusal | undefined {
  const candidates = name.includes('/')
    ? [name.startsWith('/') ? name : `${cwd}/${name}`]
    : path.split(':').map((directory) => `${directory === '' ? cwd : directory}/${name}`);
  let found = false;
  for (const candidate of name === '' ? [] : candidates) {
    const kind = kindOf(candidate);
    if (kind === 'executable') return undefined;
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

/** The agent's own dynamic loader: the image's C library may be another one, or none. */
const loader = `${toolsDirectory}/ld.so`;
const loaded = (program: string) => [
  loader,
  '--library-path',
  toolsDirectory,
  `${toolsDirectory}/${program}`,
];

/**
 * Starts the command in a session of its own, with the terminal as its controlling one.
 *
 * QuickJS's exec sets neither groups nor sessions: `setsid` of util-linux does, and `chroot` of
 * coreutils, which changes identity without PAM or a shell. Each replaces itself by what follows.
 * busybox has a `setsid` too, which would run busybox's own `sh` and `ls` instead of the image's:
 * it only serves where a path follows.
 * @returns the process id, or minus errno
 */
export function start(
  request: SpawnRequest,
  identity: Identity,
  env: Record<string, string>,
  descriptors: Descriptors,
): number {
  const options = { block: false, usePath: false, cwd: request.cwd, env, ...descriptors };
  const control = request.terminal === undefined ? [] : ['-c'];
  if (identity.uid === 0 && identity.gid === 0 && identity.groups.length === 0) {
    const argv = [...loaded('setsid'), ...control, '--', ...request.argv];
    return os.exec(argv, { ...options, file: loader });
  }
  const change = [
    ...loaded('chroot'),
    `--userspec=+${identity.uid}:+${identity.gid}`,
    `--groups=${identity.groups.map((gid) => `+${gid}`).join(',')}`,
    '--skip-chdir',
    '/',
  ];
  const argv = ['setsid', ...control, '--', ...change, ...request.argv];
  return os.exec(argv, { ...options, file: `${toolsDirectory}/busybox` });
}

/** Opens a terminal for a command; it belongs to who runs the command. */
export function openTerminal(name: string, identity: Identity): number {
  const path = `/dev/${name}`;
  const fd = os.open(path, openFlags.readWrite | openFlags.noControl);
  if (fd >= 0 && identity.uid !== 0) {
    busybox(['chown', `${identity.uid}:${identity.gid}`, path]);
  }
  return fd;
}

/** Runs one of busybox's programs to its end. */
export function busybox(argv: readonly string[]): number {
  return os.exec(argv, { block: true, usePath: false, file: `${toolsDirectory}/busybox`, env: {} });
}
