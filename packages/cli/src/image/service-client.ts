import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { AnoleError } from '@anole/bytes';
import { systemCode } from '@anole/host';
import { daemonPlace } from '../daemon/place.ts';

/** How long a service may take to start. */
const patience = 30_000; // ms

/** Where the service of this user listens. */
export function serviceSocket(): string {
  return join(daemonPlace().directory, 'images.sock');
}

/** Where the service that a command starts writes its log. */
export function serviceLog(): string {
  return join(daemonPlace().directory, 'images.log');
}

/** Program and arguments of a command of this one. */
export function ownCommand(...args: string[]): [string, ...string[]] {
  const anole = fileURLToPath(new URL('../../bin/anole.js', import.meta.url));
  return [process.execPath, anole, ...args];
}

export interface AskOptions {
  /** Where the service listens. Default: that of this user. */
  readonly socket?: string;
  /** Whether this user's service is started where it is missing. Default false. */
  readonly start?: boolean;
  /** The answer where there is no service. */
  readonly absent?: object;
}

/**
 * Asks the service of images.
 *
 * @throws AnoleError with the code that the service gave; `CLI_DAEMON` where there is none
 */
export async function askService<T>(
  method: string,
  path: string,
  body?: object,
  { socket, start = false, absent }: AskOptions = {},
): Promise<T> {
  const socketPath = socket ?? serviceSocket();
  let answer = await exchange(socketPath, method, path, body);
  if (answer === undefined && start && socket === undefined) {
    await startService(socketPath);
    answer = await exchange(socketPath, method, path, body);
  }
  answer ??= absent;
  if (answer === undefined) {
    const where = socket === undefined ? '' : ` at ${socket}`;
    const message = `Cannot find the service of images${where}: nothing is mounted`;
    throw new AnoleError('CLI_DAEMON', message);
  }
  const { error } = answer as { error?: { code: string; message: string; hint?: string } };
  if (error === undefined) return answer as T;
  throw new AnoleError(error.code, error.message, error.hint === undefined ? {} : error);
}

function exchange(
  socketPath: string,
  method: string,
  path: string,
  body: object | undefined,
): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const request = process
    .getBuiltinModule('node:http')
    .request(
      { socketPath, method, path },
      (response) => void textOf(response).then(resolve, reject),
    );
  request.on('error', (error) => {
    const isAbsent = ['ENOENT', 'ECONNREFUSED'].includes(systemCode(error) ?? '');
    if (isAbsent) resolve(undefined);
    else
      reject(new AnoleError('CLI_DAEMON', `Cannot reach the service of images: ${error.message}`));
  });
  request.end(body && JSON.stringify(body));
  return promise;
}

async function textOf(response: IncomingMessage): Promise<unknown> {
  let text = '';
  response.setEncoding('utf8');
  for await (const piece of response) text += piece;
  return JSON.parse(text);
}

/** Starts a service that outlives this process, and its terminal. */
async function startService(socketPath: string): Promise<void> {
  const path = serviceLog();
  // What goes wrong before it takes the log itself.
  const log = openSync(path, 'a', 0o600);
  const [program, ...args] = ownCommand('image', 'serve', '--quiet', '--log', path);
  const child = spawn(program, args, { cwd: '/', detached: true, stdio: ['ignore', log, log] });
  child.unref();
  closeSync(log);
  for (const deadline = Date.now() + patience; Date.now() < deadline; ) {
    if ((await exchange(socketPath, 'GET', '/v1/mounts', undefined)) !== undefined) return;
    await delay(20);
  }
  throw new AnoleError('CLI_DAEMON', 'Cannot start the service of images', {
    hint: `See what it printed: ${path}`,
  });
}
