import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ContentStore } from '@anole/host';
import {
  type LoopbackMirror,
  network,
  scratchDirectory,
  serve,
  sha256,
} from './archive.fixture.ts';
import { download, type Target } from './download.ts';
import { HttpClient, type NetworkOptions } from './http.ts';

const content = Buffer.alloc(500_000, 'a package of some size ');
const size = content.length;

interface Bench {
  readonly mirror: LoopbackMirror;
  readonly store: ContentStore;
  readonly target: Target;
  /** Downloads the target, by default from the mirror, and returns what then is in the store. */
  get(uris?: readonly string[], signal?: AbortSignal): Promise<Buffer>;
}

async function bench(context: TestContext, options: NetworkOptions = network): Promise<Bench> {
  const mirror = await serve(context, new Map([['file', content]]));
  const store = new ContentStore(scratchDirectory(context));
  const client = new HttpClient(options);
  context.after(() => client[Symbol.dispose]());
  const target = { uris: [`${mirror.uri}file`], size, sha256: sha256(content) };
  const get = async (uris: readonly string[] = target.uris, signal?: AbortSignal) => {
    const wanted = { network: options, ...(signal === undefined ? {} : { signal }) };
    return readFileSync(await download(client, store, { ...target, uris }, wanted));
  };
  return { mirror, store, target, get };
}

test('a mirror that is down is unreachable, with the next step', async (context) => {
  const { get } = await bench(context);
  const port = await closedPort();
  await assert.rejects(get([`http://127.0.0.1:${port}/file`]), {
    code: 'ARCHIVE_UNREACHABLE',
    message: `Cannot get http://127.0.0.1:${port}/file: connect ECONNREFUSED 127.0.0.1:${port}`,
    hint: 'Check the network and the proxy, or name another mirror with --mirror.',
  });
});

test('a mirror that is down is passed over where another serves', async (context) => {
  const { get, target } = await bench(context);
  const down = `http://127.0.0.1:${await closedPort()}/file`;
  assert.ok((await get([down, ...target.uris])).equals(content));
});

test('a server that fails for a while is asked again', async (context) => {
  const { mirror, get } = await bench(context);
  let failures = 2;
  mirror.hook = (_path, _request, response) => {
    if (failures-- <= 0) return false;
    response.writeHead(503).end();
    return true;
  };
  assert.ok((await get()).equals(content));
  assert.equal(mirror.requests.length, 3);
});

test('a server that keeps failing, or forbids, is given up', async (context) => {
  const { mirror, get } = await bench(context);
  for (const [status, requests] of [
    [503, 3],
    [403, 1],
  ] as const) {
    mirror.requests.length = 0;
    mirror.hook = (_path, _request, response) => {
      response.writeHead(status).end();
      return true;
    };
    await assert.rejects(get(), { code: 'ARCHIVE_UNREACHABLE' });
    assert.equal(mirror.requests.length, requests);
  }
});

test('a server that falls silent is left, and asked for the rest', async (context) => {
  const { mirror, get } = await bench(context, { ...network, stall: 2000 });
  let first = true;
  const ranges: (string | undefined)[] = [];
  mirror.hook = (_path, request, response) => {
    ranges.push(request.headers.range);
    if (!first) return false;
    first = false;
    response.writeHead(200, { 'content-length': size });
    response.write(content.subarray(0, 100_000));
    return true;
  };
  assert.ok((await get()).equals(content));
  assert.deepEqual(ranges, [undefined, 'bytes=100000-']);
});

test('a connection that breaks is continued where it broke', async (context) => {
  const { mirror, get } = await bench(context);
  const ranges: (string | undefined)[] = [];
  mirror.hook = (_path, request, response) => {
    ranges.push(request.headers.range);
    if (ranges.length > 1) return false;
    response.writeHead(200, { 'content-length': size });
    response.write(content.subarray(0, 200_000), () => response.socket!.resetAndDestroy());
    return true;
  };
  assert.ok((await get()).equals(content));
  assert.equal(ranges.length, 2);
  assert.equal(ranges[0], undefined);
});

test('a server that ignores ranges is read from the start', async (context) => {
  const { mirror, store, target, get } = await bench(context);
  leaveHalf(store, target, content.subarray(0, 1000));
  mirror.hook = (_path, _request, response) => {
    response.end(content);
    return true;
  };
  assert.ok((await get()).equals(content));
});

test('what an earlier attempt left is dropped where it was wrong', async (context) => {
  const { mirror, store, target, get } = await bench(context);
  leaveHalf(store, target, Buffer.alloc(1000, 'wrong'));
  assert.ok((await get()).equals(content));
  assert.equal(mirror.requests.length, 2);
});

test('a wrong file is refused, with what came instead, and nothing stays', async (context) => {
  const { mirror, store, target, get } = await bench(context);
  const wrong = Buffer.from(content);
  wrong[0]! ^= 1;
  for (const file of [wrong, content.subarray(1), Buffer.concat([content, content])]) {
    mirror.files.set('file', file);
    await assert.rejects(get(), { code: 'ARCHIVE_WRONG_HASH' });
    assert.equal(await store.find(target.sha256), undefined);
  }
});

test('a mirror that serves a wrong file is passed over', async (context) => {
  const { mirror, get, target } = await bench(context);
  mirror.files.set('bad', content.toReversed());
  assert.ok((await get([`${mirror.uri}bad`, ...target.uris])).equals(content));
});

test('redirects are followed', async (context) => {
  const { mirror, get } = await bench(context);
  const locations: Record<string, string> = { a: 'b', b: '/debian/file' };
  mirror.hook = (path, _request, response) => {
    const location = locations[path];
    if (location === undefined) return false;
    response.writeHead(302, { location }).end();
    return true;
  };
  assert.ok((await get([`${mirror.uri}a`])).equals(content));
});

test('a redirect without end, or to a file, is an error', async (context) => {
  const { mirror, get } = await bench(context);
  for (const location of ['loop', 'file:///etc/passwd', 'http://[']) {
    mirror.hook = (_path, _request, response) => {
      response.writeHead(302, { location }).end();
      return true;
    };
    await assert.rejects(get(), { code: 'ARCHIVE_UNREACHABLE' });
  }
});

test('a file of the file system is read as from a mirror', async (context) => {
  const { get } = await bench(context);
  const path = join(scratchDirectory(context), 'file');
  writeFileSync(path, content);
  assert.ok((await get([`file://${path}`])).equals(content));
});

test('a password in a URI is sent, but not shown', async (context) => {
  const { mirror, get } = await bench(context);
  const authorizations: (string | undefined)[] = [];
  mirror.hook = (_path, request, response) => {
    authorizations.push(request.headers.authorization);
    response.writeHead(401).end();
    return true;
  };
  const uri = `${mirror.uri.replace('//', '//user:secret@')}file`;
  await assert.rejects(get([uri]), (error: Error) => !/secret/.test(error.message));
  assert.deepEqual(authorizations, [`Basic ${Buffer.from('user:secret').toString('base64')}`]);
});

test('an abort ends a download at once and keeps what came', async (context) => {
  const { mirror, store, target, get } = await bench(context);
  const abort = new AbortController();
  mirror.hook = (_path, _request, response) => {
    response.writeHead(200, { 'content-length': size });
    response.write(content.subarray(0, 1000), () => setImmediate(() => abort.abort()));
    return true;
  };
  await assert.rejects(get(target.uris, abort.signal), { name: 'AbortError' });
  mirror.hook = () => false;
  assert.ok((await get()).equals(content));
  assert.equal(await store.find(target.sha256), store.pathOf(target.sha256));
});

test('a download whose process is killed is continued by another process', async (context) => {
  const { mirror, store, target, get } = await bench(context);
  const ranges: (string | undefined)[] = [];
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  mirror.hook = (_path, request, response) => {
    ranges.push(request.headers.range);
    if (ranges.length > 1) return false;
    response.writeHead(200, { 'content-length': size });
    response.write(content.subarray(0, 100_000), () => resolve());
    return true;
  };
  const code = `
    import { ContentStore } from '@anole/host';
    import { download } from './download.ts';
    import { HttpClient, type NetworkOptions } from './http.ts';
    const target = ${JSON.stringify(target)};
    await download(new HttpClient(), new ContentStore(${JSON.stringify(store.directory)}), target, {
      onBytes: (bytes) => bytes === 100_000 && console.log('there'),
    });`;
  const options = ['-C', 'anole-source', '--input-type=module-typescript', '--eval', code];
  const child = spawn(process.execPath, options, {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  context.after(() => child.kill('SIGKILL'));
  await begun;
  await new Promise((there) => child.stdout.once('data', there));
  const ended = new Promise((end) => child.once('close', end));
  child.kill('SIGKILL');
  await ended;
  assert.ok((await get()).equals(content));
  assert.deepEqual(ranges, [undefined, 'bytes=100000-']);
});

test('requests go through a proxy, but for the hosts that are excepted', async (context) => {
  const { mirror, store, target } = await bench(context);
  const seen: string[] = [];
  const proxy = createServer((request, response) => {
    seen.push(request.url!);
    response.end(content);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  context.after(() => proxy.close());
  const proxies = { http_proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` };
  using through = new HttpClient(network, proxies);
  const path = await download(through, store, { ...target, uris: ['http://mirror.invalid/file'] });
  assert.ok(readFileSync(path).equals(content));
  assert.deepEqual(seen, ['http://mirror.invalid/file']);
  using beside = new HttpClient(network, { ...proxies, no_proxy: '127.0.0.1' });
  await download(beside, new ContentStore(scratchDirectory(context)), target);
  assert.equal(seen.length, 1);
  assert.equal(mirror.requests.length, 1);
});

function leaveHalf(store: ContentStore, target: Target, bytes: Uint8Array): void {
  mkdirSync(join(store.directory, 'partial'), { recursive: true });
  writeFileSync(join(store.directory, 'partial', target.sha256), bytes);
}

/** A port of the loopback interface on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
