import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MemoryTree } from '@anole/vfs';
import { RawLayout, tarOf } from '../../packages/oci/src/testing/images.ts';
import { startRegistry } from '../../packages/oci/src/testing/registry.ts';
import { needs } from '../../packages/oci/src/testing/tools.ts';

const main = join(import.meta.dirname, '../../packages/cli/src/main.ts');
const kinds = ['kernel', 'fuse'] as const;
const FILES = 24;
const SIZE = 300_000;

/** Bytes that compress a little, and differ from file to file. */
function contentOf(file: number): Uint8Array {
  const bytes = createHash('shake256', { outputLength: SIZE }).update(`file ${file}`).digest();
  for (let at = 0; at < SIZE; at += 4096) bytes.fill('A', at, Math.min(at + 1000, SIZE));
  return bytes;
}

const nameOf = (file: number) => `data/file-${file}`;
const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Something between client and registry that can be broken. */
async function startProxy(test: TestContext, registry: string) {
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

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** An image in a registry, a service of its own, and a place to mount. */
async function setUp(test: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'anole-mount-'));
  const environment = {
    ...process.env,
    HOME: directory,
    ANOLE_CACHE: join(directory, 'cache'),
    XDG_RUNTIME_DIR: directory,
  };
  const run = (program: string, ...args: string[]) =>
    new Promise<Ran>((resolve) => {
      const child = spawn(program, args, { env: environment, cwd: directory, timeout: 120_000 });
      let stdout = '';
      let stderr = '';
      child.stdout.on('data', (piece: Buffer) => {
        stdout += piece.toString();
      });
      child.stderr.on('data', (piece: Buffer) => {
        stderr += piece.toString();
      });
      child.on('close', (status) => resolve({ status, stdout, stderr }));
    });
  const anole = (...args: string[]) => run(process.execPath, '-C', 'anole-source', main, ...args);
  const pids = (word: string) =>
    spawnSync('pgrep', ['-f', `image serve --${word}.*`], { encoding: 'utf8' })
      .stdout.split('\n')
      .map(Number)
      .filter((pid) => pid > 0 && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(directory));
  const points = kinds.map((kind) => join(directory, kind));
  for (const point of points) mkdirSync(point);
  test.after(() => {
    for (const pid of [...pids('quiet'), ...pids('kept')]) process.kill(pid, 'SIGKILL');
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
  const mount = async (kind: string) => {
    const name = `docker://${proxy.host}/made:1`;
    return await anole('image', 'mount', '--platform', 'linux/amd64', '--kind', kind, name, kind);
  };
  const sum = async (kind: string, file: number) => {
    const { status, stdout } = await run('sha256sum', join(kind, nameOf(file)));
    return status === 0 ? stdout.split(' ')[0]! : 'error';
  };
  return { directory, anole, run, mount, sum, pids, proxy };
}

type Place = Awaited<ReturnType<typeof setUp>>;

async function mountAll(test: TestContext, { mount }: Place): Promise<readonly string[]> {
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

const skip = needs('docker-registry', 'root');

describe('mounted images', { skip }, () => {
  it('have what the image has, and fetch what is read', async (test) => {
    const place = await setUp(test);
    const { anole, sum, run, proxy } = place;
    const mounted = await mountAll(test, place);
    const atFirst = proxy.state.bytes;
    assert.equal(await sum(mounted[0]!, 3), hashOf(contentOf(3)));
    const forOne = proxy.state.bytes - atFirst;
    assert.ok(forOne > 0 && forOne < 2 * SIZE, `${forOne} bytes came for one file`);
    for (const kind of mounted) {
      for (let each = 0; each < FILES; each++) {
        assert.equal(await sum(kind, each), hashOf(contentOf(each)));
      }
      assert.equal((await run('readlink', `${kind}/data/link`)).stdout, 'file-0\n');
    }
    const { stdout } = await anole('image', 'mounts', '--json');
    const before = proxy.state.bytes;
    for (const { directory } of JSON.parse(stdout) as { directory: string }[]) {
      assert.equal((await anole('image', 'umount', directory)).status, 0);
    }
    for (const kind of await mountAll(test, place)) {
      assert.equal(await sum(kind, 5), hashOf(contentOf(5)));
    }
    const came = proxy.state.bytes - before;
    // Manifests and hashes, which are 1/128 of the data.
    assert.ok(came < (FILES * SIZE) / 50, `${came} bytes came a second time`);
  });

  it('survive the service: readers wait, or get an error, but never wrong bytes', async (test) => {
    const place = await setUp(test);
    const { sum, pids } = place;
    for (const kind of await mountAll(test, place)) {
      const reading = Promise.all(
        Array.from({ length: FILES }, async (_, file) => [file, await sum(kind, file)] as const),
      );
      await sleep(30);
      for (const pid of pids('kept')) process.kill(pid, 'SIGKILL');
      for (const [file, met] of await reading) {
        assert.ok(met === 'error' || met === hashOf(contentOf(file)), `file ${file} is wrong`);
      }
      for (let file = 0; file < FILES; file++) {
        assert.equal(await sum(kind, file), hashOf(contentOf(file)));
      }
    }
  });

  it('give errors while the registry is away or lies, and are well again after', async (test) => {
    const place = await setUp(test);
    const { sum, proxy, directory } = place;
    // Apart, and from the last to the first: what is read ahead of one must not be the next.
    let file = 9;
    for (const kind of await mountAll(test, place)) {
      for (const mode of ['lying', 'down'] as const) {
        assert.equal(await sum(kind, file), hashOf(contentOf(file)));
        proxy.state.mode = mode;
        assert.equal(await sum(kind, file), hashOf(contentOf(file)), 'what has come stays');
        assert.equal(await sum(kind, file + 12), 'error', `${kind}, ${mode}`);
        proxy.state.mode = 'through';
        assert.equal(await sum(kind, file + 12), hashOf(contentOf(file + 12)));
        file -= 3;
      }
    }
    const log = readFileSync(join(directory, 'anole/images.log'), 'utf8');
    assert.match(log, /"event":"refused".*VERITY_WRONG_DATA|it is not what its hash says/);
  });

  it('have first what a traced command read, and fetch it before it is read', async (test) => {
    const place = await setUp(test);
    const { anole, run, sum, proxy, directory } = place;
    const name = `docker://${proxy.host}/made:1`;
    const platform = ['--platform', 'linux/amd64'];
    const wanted = [17, 4].map((file) => join('fuse', nameOf(file)));
    const traced = ['image', 'trace', ...platform, '-o', 'it.trace', name, 'fuse', '--'];
    const { status, stdout, stderr } = await anole(...traced, 'sha256sum', ...wanted);
    assert.equal(status, 0, stderr);
    assert.equal(stdout.split(' ')[0], hashOf(contentOf(17)));
    const { reads } = JSON.parse(readFileSync(join(directory, 'it.trace'), 'utf8'));
    assert.deepEqual([...new Set(reads.map(([path]: [string]) => path))], [nameOf(17), nameOf(4)]);
    const convert = ['image', 'convert', 'oci:layout:made', name, '-z', 'lz4'];
    assert.equal((await anole(...convert, '--trace', 'it.trace')).status, 0);
    await run('rm', '-r', 'cache/blobs');
    for (const kind of await mountAll(test, place)) {
      const isHere = async () => {
        const mounts = JSON.parse((await anole('image', 'mounts', '--json')).stdout);
        const { present, image } = mounts[0];
        const [start, end] = image.layer.annotations['dev.anole.on-demand.first'].split('-');
        return present >= end - start;
      };
      for (let turn = 0; turn < 20 && !(await isHere()); turn++) await sleep(20);
      proxy.state.mode = 'down';
      for (const file of [17, 4]) assert.equal(await sum(kind, file), hashOf(contentOf(file)));
      assert.equal(await sum(kind, 9), 'error');
      proxy.state.mode = 'through';
    }
  });

  it('do not trust a cache that has rotted', async (test) => {
    const place = await setUp(test);
    const { sum, anole, directory } = place;
    const mounted = await mountAll(test, place);
    for (const kind of mounted) assert.equal(await sum(kind, 7), hashOf(contentOf(7)));
    for (const kind of mounted) await anole('image', 'umount', kind);
    const blobs = join(directory, 'cache/blobs/blobs');
    const [name] = readdirSync(blobs);
    const fd = openSync(join(blobs, name!, 'data'), 'r+');
    for (let at = 100; at < FILES * SIZE; at += 65_536) writeSync(fd, 'rot', at);
    closeSync(fd);
    for (const kind of await mountAll(test, place)) {
      for (const file of [7, 8]) assert.equal(await sum(kind, file), hashOf(contentOf(file)));
    }
  });

  it('are cleared away by the next service where both processes were killed', async (test) => {
    const place = await setUp(test);
    const { sum, pids, anole, directory } = place;
    const mounted = await mountAll(test, place);
    for (const pid of [...pids('quiet'), ...pids('kept')]) process.kill(pid, 'SIGKILL');
    await sleep(100);
    for (const kind of await mountAll(test, place)) {
      assert.equal(await sum(kind, 9), hashOf(contentOf(9)));
      assert.equal((await anole('image', 'umount', kind)).status, 0);
    }
    const left = readFileSync('/proc/self/mountinfo', 'utf8');
    for (const kind of mounted) assert.ok(!left.includes(` ${join(directory, kind)} `));
  });
});
