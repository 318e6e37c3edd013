import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createReadStream, mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createSocketServer, type Server } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { MemoryTree } from '@anole/vfs';
import { gather, type ImageReader } from '../content.ts';
import { type Descriptor, readManifest } from '../index.ts';
import { RawLayout, tarOf } from '../testing/images.ts';
import { needs, temporary } from '../testing/tools.ts';
import { openReader, parseLocation, Registries } from './index.ts';
import { ImageStore } from './store.ts';

const SIZE = 400_000;

/** A layout with an image of one layer. */
async function layout(test: TestContext) {
  const directory = temporary(test);
  const tree = new MemoryTree();
  const content = Uint8Array.from({ length: SIZE }, (_, at) => (at * at) >> 7);
  tree.putFile('data', content);
  const raw = new RawLayout(join(directory, 'images'));
  const tar = await tarOf(tree);
  raw.name(raw.image({ layers: [{ tar, compression: 'none' }] }), 'web');
  return { directory, tar };
}

type Trick = (request: IncomingMessage, answer: ServerResponse) => boolean;

/** A web server of a directory that knows ranges, and tricks. */
async function serve(test: TestContext, directory: string, trick: Trick = () => false) {
  const asked: { readonly path: string; readonly headers: IncomingMessage['headers'] }[] = [];
  const server = createServer((incoming, answer) => {
    const { pathname } = new URL(incoming.url ?? '', 'http://x');
    asked.push({ path: pathname, headers: incoming.headers });
    if (trick(incoming, answer)) return;
    const path = join(directory, decodeURIComponent(pathname));
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (size === undefined) return void answer.writeHead(404).end();
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(incoming.headers.range ?? '') ?? [];
    const start = Number(from ?? 0);
    const end = to ? Number(to) : size - 1;
    const headers = { 'content-length': end - start + 1 };
    if (from === undefined) answer.writeHead(200, headers);
    else {
      answer.writeHead(206, { ...headers, 'content-range': `bytes ${start}-${end}/${size}` });
    }
    createReadStream(path, { start, end }).pipe(answer);
  });
  const host = await listening(test, server);
  return { host, asked };
}

async function listening(test: TestContext, server: ReturnType<typeof createServer>) {
  await new Promise<void>((done) => {
    server.listen(0, '127.0.0.1', done);
  });
  test.after(() => server.close().closeAllConnections());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function opened(test: TestContext, name: string, environment = {}) {
  const registries = await Registries.load({ environment, retries: 3, pause: 1 });
  test.after(() => registries[Symbol.dispose]());
  const around = { registries, store: new ImageStore(temporary(test)) };
  return await openReader(parseLocation(name), around);
}

async function layerOf(reader: ImageReader, selector: string | undefined): Promise<Descriptor> {
  const { content } = await readManifest(reader, await reader.resolve(selector));
  assert.ok(content.kind === 'manifest');
  return content.layers[0]!;
}

/** Reads all of the layer, and some ranges of it, and compares. */
async function assertReads(reader: ImageReader, tag: string | undefined, tar: Uint8Array) {
  const layer = await layerOf(reader, tag);
  for (const [start, end] of [
    [0, tar.length],
    [1000, 300_000],
    [tar.length - 1, tar.length],
  ] as const) {
    const bytes = await gather(reader.blob(layer, { start, end }), end - start);
    assert.equal(Buffer.compare(bytes, tar.subarray(start, end)), 0);
  }
}

describe('a layout on a web server', () => {
  it('is read by ranges, also through what answers wrong, breaks off and leads away', async (test) => {
    const { directory, tar } = await layout(test);
    const target = await serve(test, directory);
    let turn = 0;
    const { host, asked } = await serve(test, directory, ({ url = '', socket }, answer) => {
      if (!url.includes('/blobs/')) return false;
      switch (turn++ % 4) {
        case 0:
          answer.writeHead(429, { 'retry-after': '0' }).end();
          return true;
        case 1:
          answer.writeHead(307, { location: `http://${target.host}${url}?signed` }).end();
          return true;
        case 2:
          socket.destroy();
          return true;
        default:
          return false;
      }
    });
    const environment = { HOME: directory };
    mkdirSync(join(directory, '.docker'));
    const auth = Buffer.from('me:secret').toString('base64');
    const config = { auths: { [host]: { auth } } };
    writeFileSync(join(directory, '.docker/config.json'), JSON.stringify(config));
    using from = await opened(test, `oci+http://${host}/images:web`, environment);
    await assertReads(from.reader, from.selector, tar);
    assert.ok(asked.length > 4);
    assert.ok(target.asked.length > 0);
    for (const { headers } of target.asked) assert.equal(headers.authorization, undefined);
  });

  it('says who it wants to know, and is told by those who may', async (test) => {
    const { directory, tar } = await layout(test);
    const wanted = `Basic ${Buffer.from('me:secret').toString('base64')}`;
    const { host } = await serve(test, directory, ({ headers }, answer) => {
      if (headers.authorization === wanted) return false;
      answer.writeHead(401, { 'www-authenticate': 'Basic realm="images"' }).end();
      return true;
    });
    const name = `oci+http://${host}/images:web`;
    using stranger = await opened(test, name, { HOME: directory });
    await assert.rejects(stranger.reader.resolve('web'), { code: 'OCI_UNAUTHORIZED' });
    mkdirSync(join(directory, '.docker'));
    const auth = Buffer.from('me:secret').toString('base64');
    writeFileSync(
      join(directory, '.docker/config.json'),
      JSON.stringify({ auths: { [host]: { auth } } }),
    );
    using friend = await opened(test, name, { HOME: directory });
    await assertReads(friend.reader, friend.selector, tar);
  });

  it('may lie in a bucket', async (test) => {
    const { directory, tar } = await layout(test);
    const { host } = await serve(test, directory, ({ headers }, answer) => {
      if (/^AWS4-HMAC-SHA256 Credential=KEY\//.test(headers.authorization ?? '')) return false;
      answer.writeHead(403).end('<Error><Code>AccessDenied</Code></Error>');
      return true;
    });
    mkdirSync(join(directory, 'bucket'));
    renameSync(join(directory, 'images'), join(directory, 'bucket/images'));
    const environment = {
      AWS_ENDPOINT_URL: `http://${host}`,
      AWS_ACCESS_KEY_ID: 'KEY',
      AWS_SECRET_ACCESS_KEY: 'secret',
    };
    using from = await opened(test, 's3://bucket/images:web', environment);
    await assertReads(from.reader, from.selector, tar);
    const { AWS_ENDPOINT_URL } = environment;
    using stranger = await opened(test, 's3://bucket/images:web', {
      AWS_ENDPOINT_URL,
      HOME: '/none',
    });
    await assert.rejects(stranger.reader.resolve('web'), { code: 'OCI_FORBIDDEN' });
  });

  it('is read through a proxy, and without it where that fails', async (test) => {
    const { directory, tar } = await layout(test);
    const { host } = await serve(test, directory);
    let mode: 'through' | 'failing' | 'breaking' = 'through';
    let through = 0;
    const proxy = createServer((incoming, answer) => {
      through++;
      if (mode === 'failing') return void answer.writeHead(502).end();
      const { url = '', headers } = incoming;
      request(url, { headers }, (response) => {
        answer.writeHead(response.statusCode ?? 500, response.headers);
        if (mode === 'breaking' && url.includes('/blobs/')) {
          answer.flushHeaders();
          setTimeout(() => answer.destroy(), 5);
          response.resume();
        } else response.pipe(answer);
      }).end();
    });
    const at = await listening(test, proxy);
    const environment = { ANOLE_IMAGE_PROXY: `http://${at}` };
    const read = async () => {
      using from = await opened(test, `oci+http://${host}/images:web`, environment);
      await assertReads(from.reader, from.selector, tar);
    };
    await read();
    assert.ok(through >= 4, 'all went through it');
    mode = 'breaking';
    await read();
    mode = 'failing';
    through = 0;
    await read();
    assert.equal(through, 1, 'it is left alone once it has failed');
    await new Promise((done) => proxy.close(done).closeAllConnections());
    await read();
  });

  it('is what nginx serves', { skip: needs('nginx') }, async (test) => {
    const { directory, tar } = await layout(test);
    // It inherits a socket that listens already: who connects before it is there waits, and nobody else
    // can have the port.
    const listener = createSocketServer() as Server & { readonly _handle: { readonly fd: number } };
    await new Promise<void>((done) => {
      listener.listen(0, '127.0.0.1', done);
    });
    const { port } = listener.address() as AddressInfo;
    const file = join(directory, 'nginx.conf');
    writeFileSync(
      file,
      `daemon off; pid ${directory}/pid; error_log ${directory}/log; worker_processes 1;
${process.geteuid?.() === 0 ? 'user root;' : ''}
events {}
http {
  access_log off;
  client_body_temp_path ${directory}/a; proxy_temp_path ${directory}/b; fastcgi_temp_path ${directory}/c;
  uwsgi_temp_path ${directory}/d; scgi_temp_path ${directory}/e;
  server { listen 127.0.0.1:${port}; root ${directory}; }
}`,
    );
    const nginx = spawn('nginx', ['-c', file, '-p', directory], {
      stdio: ['ignore', 'ignore', 'ignore', listener._handle.fd],
      env: { ...process.env, NGINX: '3;' },
    });
    listener.close();
    test.after(() => nginx.kill());
    using from = await opened(test, `oci+http://127.0.0.1:${port}/images`);
    await assertReads(from.reader, undefined, tar);
    await assert.rejects(from.reader.resolve('other'), { code: 'OCI_NOT_FOUND' });
  });
});
