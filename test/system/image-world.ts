import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { MemoryTree } from '@anole/vfs';
import { noMount } from '../../packages/erofs/test/judges.ts';
import { noPreContent } from '../../packages/host/test/tools.ts';
import { RawLayout, tarOf } from '../../packages/oci/src/testing/images.ts';
import { startRegistry } from '../../packages/oci/src/testing/registry.ts';
import { type Test, temporary } from '../../packages/oci/src/testing/tools.ts';
import { anoleProgram } from './anole-program.ts';
import { endProcess, environmentOf, mountsBelow } from './left-over.ts';
import { runApart } from './ran.ts';

/** Why the kernel mounts no images here, or false. What is tested is not asked: that may fail. */
export const noKernelMount = noMount() || (await noPreContent());
export const kinds = noKernelMount ? ['fuse'] : ['kernel', 'fuse'];
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
/** Of all files. */
export const allHashes = () => Array.from({ length: FILES }, (_, file) => hashOf(contentOf(file)));

/** Tokens without which a registry answers nothing; each is good for some requests of blobs. */
interface Tokens {
  readonly uses: number;
  /** Whether nobody gets a new one. */
  isRefused: boolean;
  issued: number;
  left: number;
}

interface Broken {
  /** Of `slow` half of a piece of a blob comes, and the rest when it is released. */
  mode: 'through' | 'down' | 'lying' | 'slow';
  /** Of all answers, and of those that have something of an image. */
  bytes: number;
  contentBytes: number;
  tokens?: Tokens;
  /** Lets go on what is slow. */
  slow: (() => void)[];
}

/** Blobs and manifests. What stands for a list of referrers is none: it is asked for anew each time. */
const isContent = /\/(?:blobs\/|manifests\/(?!sha256-))/;

/** Sends an answer on, as the proxy is. */
async function sendOn(state: Broken, url: string, from: IncomingMessage, answer: ServerResponse) {
  answer.writeHead(from.statusCode ?? 500, from.headers);
  const isBlob = url.includes('/blobs/');
  for await (const piece of from as AsyncIterable<Buffer>) {
    state.bytes += piece.length;
    if (isContent.test(url)) state.contentBytes += piece.length;
    if (isBlob && state.mode === 'lying') piece[piece.length >> 1]! ^= 1;
    if (isBlob && state.mode === 'slow') {
      answer.write(piece.subarray(0, piece.length >> 1));
      await new Promise<void>((goOn) => state.slow.push(goOn));
      answer.write(piece.subarray(piece.length >> 1));
    } else answer.write(piece);
  }
  answer.end();
}

/** Something between client and registry that can be broken. */
async function startProxy(test: Test, registry: string) {
  const state: Broken = { mode: 'through', bytes: 0, contentBytes: 0, slow: [] };
  const server = createServer((asked, answer) => {
    if (state.mode === 'down') return void asked.socket.destroy();
    if (state.tokens && !isAllowed(state.tokens, asked, answer)) return;
    const { method, url = '', headers } = asked;
    const [host, port] = registry.split(':');
    const forwarded = httpRequest({ host, port, method, path: url, headers }, (response) => {
      sendOn(state, url, response, answer).catch(() => asked.socket.destroy());
    });
    // Who asked may have given up.
    answer.on('error', () => {});
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
  /** All goes through again, also what has been slow so far. */
  const release = () => {
    state.mode = 'through';
    for (const goOn of state.slow.splice(0)) goOn();
  };
  const { port } = server.address() as AddressInfo;
  return { host: `localhost:${port}`, state, release };
}

/** Checks the token of a request, or gives one; answers what is not allowed. */
function isAllowed(tokens: Tokens, asked: IncomingMessage, answer: ServerResponse): boolean {
  const { url = '', headers } = asked;
  if (url.startsWith('/token')) {
    if (tokens.isRefused) answer.writeHead(403).end();
    else {
      tokens.left = tokens.uses;
      const token = `token-${++tokens.issued}`;
      answer.end(JSON.stringify({ token, expires_in: 300 }));
    }
    return false;
  }
  const isKnown = headers.authorization === `Bearer token-${tokens.issued}`;
  const isUse = url.includes('/blobs/');
  if (isKnown && (!isUse || tokens.left-- > 0)) return true;
  const challenge = `Bearer realm="http://${headers.host}/token",service="test"`;
  answer.writeHead(401, { 'www-authenticate': challenge }).end();
  return false;
}

/** An image in a registry, converted to EROFS. */
export interface Published {
  readonly registry: string;
  /** An OCI layout that has it as `made`, not converted. */
  readonly layout: string;
}

/** Publishes the image as `made:1`, with some more in it; it goes with the test. Its data are compressed, or stored. */
export async function publish(
  test: Test,
  putMore: (tree: MemoryTree) => void = () => {},
  compression: readonly string[] = ['-z', 'lz4'],
): Promise<Published> {
  const directory = temporary(test);
  const registry = await startRegistry(test);
  const tree = new MemoryTree();
  for (let file = 0; file < FILES; file++) tree.putFile(nameOf(file), contentOf(file));
  tree.putSymlink('data/link', 'file-0');
  putMore(tree);
  const layout = join(directory, 'layout');
  const raw = new RawLayout(layout);
  raw.name(raw.image({ platform: 'linux/amd64', layers: [{ tar: await tarOf(tree) }] }), 'made');
  const words = ['image', 'convert', `oci:${layout}:made`, `docker://${registry}/made:1`];
  const place = { env: { ...process.env, ANOLE_CACHE: join(directory, 'cache') }, cwd: directory };
  const converted = await runApart(
    process.execPath,
    [anoleProgram, ...words, ...compression],
    place,
  );
  assert.equal(converted.status, 0, converted.stderr);
  return { registry, layout };
}

/**
 * A published image, a service of its own, and a place to mount.
 *
 * @param disk megabytes of a file system of its own that the cache has, in the file `disk`
 */
export async function setUp(test: Test, published?: Published, disk?: number) {
  const { registry, layout } = published ?? (await publish(test));
  const directory = mkdtempSync(join(tmpdir(), 'anole-mount-'));
  const environment = {
    ...process.env,
    HOME: directory,
    ANOLE_CACHE: join(directory, 'cache'),
    XDG_RUNTIME_DIR: directory,
  };
  const run = (program: string, ...args: string[]) =>
    runApart(program, args, { env: environment, cwd: directory });
  const anole = (...args: string[]) => run(process.execPath, anoleProgram, ...args);
  /** A command that goes on, and what it prints. */
  const start = (...args: string[]) => {
    const command = [anoleProgram, ...args];
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
  /** Processes that hold what mounts stand on, by the keeper's notes: two while one replaces the other. */
  const holders = (): readonly number[] => {
    const notes = globSync(join(directory, 'cache/blobs/mounts-*.json'));
    const pids = notes.flatMap((path): number[] =>
      JSON.parse(readFileSync(path, 'utf8')).holders.map(
        ({ id }: { readonly id: { readonly pid: number } }) => id.pid,
      ),
    );
    return pids.filter((pid) => existsSync(`/proc/${pid}`));
  };
  for (const kind of kinds) mkdirSync(join(directory, kind));
  if (disk !== undefined) {
    mkdirSync(join(directory, 'cache'));
    for (const command of [
      ['truncate', '--size', `${disk}M`, 'disk'],
      ['mkfs.ext4', '-q', 'disk'],
      ['mount', '-o', 'loop', 'disk', 'cache'],
    ]) {
      const { status, stderr } = await run(command[0]!, ...command.slice(1));
      assert.equal(status, 0, stderr);
    }
  }
  test.after(() => {
    for (const pid of [...pids('quiet'), ...pids('kept'), ...holders()]) endProcess(pid);
    for (const point of mountsBelow(directory).toReversed()) spawnSync('umount', ['--lazy', point]);
    rmSync(directory, { recursive: true, force: true });
  });
  const proxy = await startProxy(test, registry);
  symlinkSync(layout, join(directory, 'layout'));
  const mount = async (kind: string, form?: string) => {
    const name = form ?? `docker://${proxy.host}/made:1`;
    return await anole('image', 'mount', '--platform', 'linux/amd64', '--kind', kind, name, kind);
  };
  const sum = async (kind: string, file: number) => {
    const { status, stdout } = await run('sha256sum', join(kind, nameOf(file)));
    return status === 0 ? stdout.split(' ')[0]! : 'error';
  };
  /** All files, one after the other. */
  const sums = async (kind: string) => {
    const files = Array.from({ length: FILES }, (_, file) => join(kind, nameOf(file)));
    const { stdout } = await run('sha256sum', ...files);
    return stdout.split('\n', FILES).map((line) => line.split(' ')[0]!);
  };
  /** Asks the service over its socket. */
  const ask = (method: string, path: string, body?: object, socket = 'anole/images.sock') => {
    const socketPath = join(directory, socket);
    return new Promise<{ status: number; text: string }>((resolve, reject) => {
      const asked = httpRequest({ socketPath, method, path }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (piece: string) => {
          text += piece;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      asked.on('error', reject);
      asked.end(body && JSON.stringify(body));
    });
  };
  /** Makes readers get an error soon where the registry is away: as it is by default, it takes them long. */
  const hurry = () => ask('PUT', '/v1/limits', { retries: 1 });
  return { directory, anole, start, run, ask, hurry, mount, sum, sums, pids, holders, proxy };
}

export type Place = Awaited<ReturnType<typeof setUp>>;

/** Mounts the image in each way that there is here. */
export async function mountAll(
  test: TestContext,
  { mount }: Place,
  image?: string,
): Promise<readonly string[]> {
  if (noKernelMount) test.diagnostic(`no kernel mount: ${noKernelMount}`);
  for (const kind of kinds) {
    const { status, stderr } = await mount(kind, image);
    assert.equal(status, 0, stderr);
  }
  return kinds;
}
