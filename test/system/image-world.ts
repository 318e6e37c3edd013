import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { MemoryTree } from '@anole/vfs';
import { RawLayout, tarOf } from '../../packages/oci/src/testing/images.ts';
import { startRegistry } from '../../packages/oci/src/testing/registry.ts';
import type { Test } from '../../packages/oci/src/testing/tools.ts';
import { runApart } from './ran.ts';

const main = join(import.meta.dirname, '../../packages/cli/src/main.ts');
export const kinds = ['kernel', 'fuse'] as const;
export const FILES = 24;
export const SIZE = 300_000;

/** Bytes that compress a little, and differ from file to file. */
export function contentOf(file: number): Uint8Array {
  const bytes = createHash('shake256', { outputLength: SIZE }).update(`file ${file}`).digest();
  for (let at = 0; at < SIZE; at += 4096) bytes.fill('A', at, Math.min(at + 1000, SIZE));
  return bytes;
}

export const nameOf = (file: number) => `data/file-${file}`;
export const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Something between client and registry that can be broken. */
async function startProxy(test: Test, registry: string) {
  const state = { mode: 'through' as 'through' | 'down' | 'lying', bytes: 0 };
  const server = createServer((asked, answer) => {
    if (state.mode === 'down') return void asked.socket.destroy();
    const { method, url, headers } = asked;
    const [host, port] = registry.split(':');
    const forwarded = httpRequest({ host, port, method, path: url, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 500, response.headers);
      response.on('data', (piece: Buffer) => {
        state.bytes += piece.length;
        if (state.mode === 'lying' && url?.includes('/blobs/')) piece[piece.length >> 1]! ^= 1;
        answer.write(piece);
      });
      response.on('end', () => answer.end());
    });
    forwarded.on('error', () => asked.socket.destroy());
    asked.pipe(forwarded);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  test.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { host: `localhost:${(server.address() as AddressInfo).port}`, state };
}

/** Of a process; nothing where it has ended. */
function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8');
  } catch {
    return '';
  }
}

/** An image in a registry, a service of its own, and a place to mount. */
export async function setUp(test: Test) {
  const directory = mkdtempSync(join(tmpdir(), 'anole-mount-'));
  const environment = {
    ...process.env,
    HOME: directory,
    ANOLE_CACHE: join(directory, 'cache'),
    XDG_RUNTIME_DIR: directory,
  };
  const run = (program: string, ...args: string[]) =>
    runApart(program, args, { env: environment, cwd: directory });
  const anole = (...args: string[]) => run(process.execPath, '-C', 'anole-source', main, ...args);
  /** A command that goes on, and what it prints. */
  const start = (...args: string[]) => {
    const command = ['-C', 'anole-source', main, ...args];
    const child = spawn(process.execPath, command, { env: environment, cwd: directory });
    const started = { child, said: '' };
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (piece: Buffer) => {
        started.said += piece;
      });
    }
    return started;
  };
  const pids = (word: string) =>
    spawnSync('pgrep', ['-f', `image serve --${word}.*`], { encoding: 'utf8' })
      .stdout.split('\n')
      .map(Number)
      .filter((pid) => pid > 0 && environmentOf(pid).includes(directory));
  /** Processes that hold what mounts stand on, by the keeper's notes. */
  const holders = (): readonly number[] => {
    const notes = join(directory, 'cache/blobs/mounts.json');
    if (!existsSync(notes)) return [];
    return JSON.parse(readFileSync(notes, 'utf8')).holders.map(
      ({ id }: { readonly id: { readonly pid: number } }) => id.pid,
    );
  };
  const points = kinds.map((kind) => join(directory, kind));
  for (const point of points) mkdirSync(point);
  test.after(() => {
    for (const pid of [...pids('quiet'), ...pids('kept'), ...holders()]) {
      process.kill(pid, 'SIGKILL');
    }
    for (const point of points) spawnSync('umount', ['--lazy', point]);
    rmSync(directory, { recursive: true, force: true });
  });
  const registry = await startRegistry(test);
  const proxy = await startProxy(test, registry);
  const tree = new MemoryTree();
  for (let file = 0; file < FILES; file++) tree.putFile(nameOf(file), contentOf(file));
  tree.putSymlink('data/link', 'file-0');
  const raw = new RawLayout(join(directory, 'layout'));
  raw.name(raw.image({ platform: 'linux/amd64', layers: [{ tar: await tarOf(tree) }] }), 'made');
  const image = `docker://${registry}/made:1`;
  const converted = await anole('image', 'convert', 'oci:layout:made', image, '-z', 'lz4');
  assert.equal(converted.status, 0, converted.stderr);
  const mount = async (kind: string, form?: string) => {
    const name = form ?? `docker://${proxy.host}/made:1`;
    return await anole('image', 'mount', '--platform', 'linux/amd64', '--kind', kind, name, kind);
  };
  const sum = async (kind: string, file: number) => {
    const { status, stdout } = await run('sha256sum', join(kind, nameOf(file)));
    return status === 0 ? stdout.split(' ')[0]! : 'error';
  };
  return { directory, anole, start, run, mount, sum, pids, holders, proxy };
}

export type Place = Awaited<ReturnType<typeof setUp>>;

export async function mountAll(test: TestContext, { mount }: Place): Promise<readonly string[]> {
  const mounted: string[] = [];
  for (const kind of kinds) {
    const { status, stderr } = await mount(kind);
    if (status === 0) mounted.push(kind);
    else if (kind === 'kernel' && /HOST_IO/.test(stderr))
      test.diagnostic(`no kernel mount: ${stderr}`);
    else assert.fail(stderr);
  }
  return mounted;
}
