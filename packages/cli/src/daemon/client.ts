import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { AnoleError, type Progress } from '@anole/bytes';
import { systemCode } from '@anole/host';
import type { CommandContext } from '../context.ts';
import { type Frame, FrameSocket, jsonOf, kind } from './frames.ts';
import type { Reply, Request } from './messages.ts';
import { daemonPlace, type Place } from './place.ts';

/** How long a daemon may take to start. */
const patience = 30_000; // ms

export interface CallHandlers {
  /** Takes frames that are no messages. */
  readonly onFrame?: (frame: Frame) => Promise<void> | void;
  /** Called once a command runs. */
  readonly onStarted?: (connection: FrameSocket) => void;
  readonly context?: CommandContext;
}

/** Asks the daemon, which is started where it is missing, and gives its answer. */
export async function ask<T>(request: Request, handlers: CallHandlers = {}): Promise<T> {
  const connection = await connectOrStart();
  await connection.sendJson(request);
  return await answerOf<T>(connection, handlers);
}

/** Asks the daemon if there is one; undefined where there is none. */
export async function askRunning<T>(request: Request): Promise<T | undefined> {
  const socket = await tryConnect(daemonPlace());
  if (socket === undefined) return undefined;
  const connection = new FrameSocket(socket);
  await connection.sendJson(request);
  return await answerOf<T>(connection, {});
}

/** Asks, and sends bytes with the question. */
export async function send<T>(request: Request, bytes: AsyncIterable<Uint8Array>): Promise<T> {
  const connection = await connectOrStart();
  await connection.sendJson(request);
  const answer = answerOf<T>(connection, {});
  answer.catch(() => {});
  for await (const piece of bytes) await connection.send(kind.data, piece);
  await connection.send(kind.end, new Uint8Array(0));
  return await answer;
}

async function answerOf<T>(connection: FrameSocket, handlers: CallHandlers): Promise<T> {
  const { context } = handlers;
  try {
    for await (const frame of connection.frames()) {
      if (frame.kind !== kind.json) {
        await handlers.onFrame?.(frame);
        continue;
      }
      const reply = jsonOf(frame) as Reply;
      if ('ok' in reply) return reply.ok as T;
      if ('error' in reply) throw failure(reply.error);
      if ('progress' in reply) context?.progress(reply.progress as Progress);
      else if ('note' in reply) context?.err(`anole: note: ${reply.note}`);
      else handlers.onStarted?.(connection);
    }
  } finally {
    connection.close();
  }
  throw new AnoleError('CLI_DAEMON', 'Cannot go on: the daemon ended', {
    hint: 'Its sandboxes ended with it; the next command starts another',
  });
}

function failure({ code, message, hint }: { code: string; message: string; hint?: string }) {
  return new AnoleError(code, message, hint === undefined ? {} : { hint });
}

async function connectOrStart(): Promise<FrameSocket> {
  const place = daemonPlace();
  const socket = (await tryConnect(place)) ?? (await start(place));
  return new FrameSocket(socket);
}

/** Starts a daemon that outlives this process, and its terminal. */
async function start(place: Place): Promise<Socket> {
  const log = openSync(place.log, 'a', 0o600);
  const anole = fileURLToPath(new URL('../../bin/anole.js', import.meta.url));
  const child = spawn(process.execPath, [anole, 'daemon', '--quiet'], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', log, log],
  });
  child.unref();
  closeSync(log);
  for (const deadline = Date.now() + patience; Date.now() < deadline; ) {
    const socket = await tryConnect(place);
    if (socket !== undefined) return socket;
    await delay(20);
  }
  throw new AnoleError('CLI_DAEMON', 'Cannot start the daemon', {
    hint: `See what it printed: ${place.log}`,
  });
}

function tryConnect({ socket: path }: Place): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', (error) => {
      const absent = ['ENOENT', 'ECONNREFUSED'];
      if (absent.includes(systemCode(error) ?? '')) resolve(undefined);
      else reject(new AnoleError('CLI_DAEMON', `Cannot reach the daemon: ${error.message}`));
    });
  });
}
