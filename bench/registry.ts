import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface LocalRegistry extends AsyncDisposable {
  readonly port: number;
  /** `localhost:PORT` */
  readonly host: string;
}

/** A registry on loopback, whose files are in `directory`: under a `name`, those of an earlier one are there again. */
export async function registry(directory: string, name?: string): Promise<LocalRegistry> {
  const port = await freePort();
  const file = join(directory, `registry-${port}.yml`);
  const storage = { filesystem: { rootdirectory: join(directory, name ?? `registry-${port}`) } };
  const http = { addr: `127.0.0.1:${port}` };
  // JSON is YAML.
  writeFileSync(file, JSON.stringify({ version: '0.1', log: { level: 'error' }, storage, http }));
  const child = spawn('docker-registry', ['serve', file], { stdio: 'ignore' });
  const ended = once(child, 'close');
  await listening(port);
  return {
    port,
    host: `localhost:${port}`,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function listening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    const socket = connect(port, '127.0.0.1');
    const there = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (there) return;
    await sleep(50);
  }
  throw new Error('the registry does not listen');
}
