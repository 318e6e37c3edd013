import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const anole = fileURLToPath(new URL('../../packages/cli/bin/anole.js', import.meta.url));

/** A user of `anole` with a daemon of their own, which ends soon after its last sandbox. */
export function daemonUser() {
  const runtime = mkdtempSync(join(tmpdir(), 'anole-daemon-'));
  chmodSync(runtime, 0o700);
  const place = (name: string) => join(runtime, 'anole', name);

  const environment = { ...process.env, XDG_RUNTIME_DIR: runtime, ANOLE_DAEMON_IDLE: '2s' };

  /** @param input all that the command gets to read; null: its input stays open */
  function start(words: readonly string[], input?: string | null) {
    const child = spawn(process.execPath, [anole, ...words], { env: environment });
    const outputs = [child.stdout, child.stderr].map(async (stream) => {
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      return Buffer.concat(chunks).toString();
    });
    if (input !== null) child.stdin.end(input);
    const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
    return { child, ended, outputs };
  }

  async function run(...words: string[]) {
    const { ended, outputs } = start(words);
    const [out = '', err = ''] = await Promise.all(outputs);
    return { code: await ended, out, err };
  }

  /** The daemon's process, which holds its lock. */
  async function daemon(): Promise<number> {
    const socket = connect(place('daemon.sock'));
    const json = Buffer.from('{"verb":"ping"}');
    const head = Buffer.from([1, json.length, 0, 0, 0]);
    socket.end(Buffer.concat([head, json]));
    const answer: Buffer[] = [];
    for await (const chunk of socket) answer.push(chunk as Buffer);
    return JSON.parse(Buffer.concat(answer).subarray(5).toString()).ok.pid;
  }

  async function gone(): Promise<void> {
    while (existsSync(place('daemon.sock'))) await delay(50);
  }

  async function leave(): Promise<void> {
    await run('kill', '--all');
    await gone();
    rmSync(runtime, { recursive: true, force: true });
  }

  return { runtime, environment, place, start, run, daemon, gone, leave };
}
