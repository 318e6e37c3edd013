import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createPlain, type RequestListener } from 'node:http';
import { createServer as createSecure } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { mediaTypes } from '../index.ts';
import { fakeRegistry, keep, type Trick } from '../testing/fake-registry.ts';
import { makeAuthority } from '../testing/registry.ts';
import { needs, temporary } from '../testing/tools.ts';
import { NodeTransport } from './index.ts';

const PIECE = 512 * 1024;
const content = randomBytes(5 * PIECE + 12_345);

async function all(body: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  return parts;
}

/** Serves with TLS or without, and gives what reads from there. */
async function serve(test: TestContext, answer: RequestListener, secure = false) {
  const authority = secure ? makeAuthority(temporary(test)) : undefined;
  const server = authority
    ? createSecure(
        {
          cert: readFileSync(authority.server.certificate),
          key: readFileSync(authority.server.key),
        },
        answer,
      )
    : createPlain(answer);
  let connections = 0;
  server.on('connection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const transport = new NodeTransport({
    stall: 60_000,
    certificatesFor: async () => ({
      authorities: authority ? [readFileSync(authority.ca, 'utf8')] : [],
    }),
  });
  test.after(() => {
    transport[Symbol.dispose]();
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const url = new URL(`${secure ? 'https' : 'http'}://localhost:${port}/blob`);
  return {
    get: (signal?: AbortSignal) =>
      transport.send({ method: 'GET', url, headers: {}, ...(signal && { signal }) }),
    connections: () => connections,
  };
}

const whole: RequestListener = (_request, response) => {
  response.writeHead(200, { 'content-length': content.length });
  response.end(content);
};

describe('large bodies', () => {
  for (const secure of [false, true]) {
    const skip = secure && needs('openssl');
    it(`come in whole pieces, ${secure ? 'with TLS' : 'as they are'}`, { skip }, async (test) => {
      const server = await serve(test, whole, secure);
      const bodies = await Promise.all([1, 2, 3].map(async () => all((await server.get()).body)));
      for (const parts of bodies) {
        assert.ok(Buffer.concat(parts).equals(content));
        // Node's own streams give 64 KiB at most.
        assert.ok(parts.some(({ length }) => length > 65_536));
      }
    });
  }

  it('are not sent faster than they are read', async (test) => {
    const long = 64 * PIECE;
    let sent = 0;
    const server = await serve(test, (_request, response) => {
      response.writeHead(200, { 'content-length': long });
      const more = () => {
        if (sent === long) return response.end();
        sent += PIECE;
        return response.write(new Uint8Array(PIECE), more);
      };
      more();
    });
    const { body } = await server.get();
    let read = 0;
    for await (const part of body) {
      // What the kernel holds of a connection on loopback is some megabytes.
      if (read === 0) {
        await sleep(200);
        assert.ok(sent < long, `${sent} bytes were sent`);
      }
      read += part.length;
    }
    assert.equal(read, long);
  });

  it('are given as they come, where that takes long', async (test) => {
    const more = Promise.withResolvers<void>();
    const server = await serve(test, async (_request, response) => {
      response.writeHead(200, { 'content-length': content.length });
      response.write(content.subarray(0, 1000));
      await more.promise;
      response.end(content.subarray(1000));
    });
    const { body } = await server.get();
    const parts: Uint8Array[] = [];
    for await (const part of body) {
      parts.push(part);
      // The rest is not sent before what there is has been seen.
      more.resolve();
    }
    assert.equal(parts[0]?.length, 1000);
    assert.ok(Buffer.concat(parts).equals(content));
  });

  it('may be left, by their reader or by a signal', async (test) => {
    const closed: Promise<unknown>[] = [];
    const server = await serve(test, (request, response) => {
      closed.push(new Promise((resolve) => request.socket.on('close', resolve)));
      response.writeHead(200, { 'content-length': content.length });
      response.write(content.subarray(0, PIECE));
    });
    for await (const _ of (await server.get()).body) break;
    (await server.get()).close();
    const stop = new AbortController();
    const answer = await server.get(stop.signal);
    await assert.rejects(async () => {
      for await (const _ of answer.body) stop.abort();
    });
    await Promise.all(closed);
    assert.equal(closed.length, 3);
  });

  it('leave connections alone that bring small ones', async (test) => {
    const server = await serve(test, (_request, response) => {
      response.writeHead(200, { 'content-length': 1000 });
      response.end(content.subarray(0, 1000));
    });
    for (let time = 0; time < 3; time++) {
      const parts = await all((await server.get()).body);
      assert.ok(Buffer.concat(parts).equals(content.subarray(0, 1000)));
    }
    assert.equal(server.connections(), 1);
  });

  const tricks: readonly (readonly [string, Trick])[] = [
    ['breaks off', broken((socket) => socket.destroy())],
    ['ends early', broken((socket) => socket.end())],
    ['falls silent', broken(() => {})],
  ];
  for (const [what, trick] of tricks) {
    it(`go on where a connection ${what}`, async (test) => {
      let times = 0;
      const fake = await fakeRegistry(
        test,
        (request, response, registry) => times++ < 2 && trick(request, response, registry),
      );
      const digest = keep(fake, content);
      const descriptor = { mediaType: mediaTypes.layer, digest, size: content.length };
      const parts = await all(
        fake.repository(what === 'falls silent' ? { stall: 2000 } : {}).blob(descriptor),
      );
      assert.ok(Buffer.concat(parts).equals(content));
      assert.equal(fake.headers[1]?.['range'], 'bytes=700000-');
      assert.equal(fake.headers[2]?.['range'], 'bytes=1400000-');
    });
  }

  it('end where their length says, whatever follows', async (test) => {
    const fake = await fakeRegistry(test, ({ socket }) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${content.length}\r\n\r\n`);
      socket.write(content);
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nlie');
      return true;
    });
    const digest = keep(fake, content);
    const repository = fake.repository();
    const descriptor = { mediaType: mediaTypes.layer, digest, size: content.length };
    for (let time = 0; time < 2; time++) {
      assert.ok(Buffer.concat(await all(repository.blob(descriptor))).equals(content));
    }
    const short = { ...descriptor, size: content.length - 1 };
    await assert.rejects(all(repository.blob(short)), { code: 'OCI_WRONG_CONTENT' });
  });
});

/** Sends 700,000 bytes of what is wanted, and then lets its connection end. */
function broken(end: (socket: Socket) => void): Trick {
  return (request, response) => {
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    response.writeHead(start > 0 ? 206 : 200, {
      'content-length': content.length - start,
      'content-range': `bytes ${start}-${content.length - 1}/${content.length}`,
    });
    response.write(content.subarray(start, start + 700_000), () => end(request.socket));
    return true;
  };
}
